//! Revoking: one, several, all of a user; and that nothing which races brings one back.

use super::bench::{Bench, at_version, created, extend, id, id_of, name, new, refreshable, rotate, unconditional};
use agentapi::stores::sessions::{Error, NewSession, RefreshOutcome, RevokeOutcome, SessionId, SessionRef, Touch};
use std::collections::HashSet;
use std::time::Duration;

on_every_backend!(
    a_revoked_session_is_gone_from_everywhere,
    a_reference_revokes_and_neither_reads_nor_writes,
    several_are_revoked_in_two_round_trips,
    all_sessions_of_a_user_end_but_for_one,
    all_of_many_sessions_end,
    all_of_many_partitions_end_in_a_few_round_trips,
    what_has_the_key_of_a_session_goes_with_the_sessions,
    nothing_that_races_survives_revoking_all,
);

async fn a_revoked_session_is_gone_from_everywhere(bench: &Bench) {
    let sessions = bench.sessions();
    let (session, token) = refreshable(&sessions, "u").await;
    let stale = sessions.revoke(&session.reference, &at_version(2)).await.unwrap();
    assert_eq!(stale, RevokeOutcome::VersionMismatch);
    let done = sessions.revoke(&session.reference, &at_version(1)).await.unwrap();
    assert_eq!(done, RevokeOutcome::Revoked);
    assert_eq!(sessions.revoke(&session.reference, &unconditional()).await.unwrap(), RevokeOutcome::Absent);
    assert!(sessions.read(&id_of(&session), Touch::Yes).await.unwrap().is_none());
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
    assert!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.is_empty());
    assert!(matches!(sessions.refresh(&token).await.unwrap(), RefreshOutcome::Invalid));
}

async fn a_reference_revokes_and_neither_reads_nor_writes(bench: &Bench) {
    let sessions = bench.sessions();
    let session = created(&sessions, new("u")).await;
    let shown = name(&session.reference.to_string());
    let as_id = SessionId::parse(&shown);
    assert!(sessions.read(&as_id, Touch::Yes).await.unwrap().is_none());
    assert!(extend(&sessions, &as_id, None).await.unwrap().is_none());
    assert!(rotate(&sessions, &as_id).await.unwrap().is_none());
    let revoked = sessions.revoke(&SessionRef::to_revoke(&shown), &unconditional()).await.unwrap();
    assert_eq!(revoked, RevokeOutcome::Revoked);
}

async fn several_are_revoked_in_two_round_trips(bench: &Bench) {
    let sessions = bench.sessions();
    let mut references = vec![id("absent").reference().clone()];
    for user in ["a", "a", "b", "c"] {
        references.push(created(&sessions, new(user)).await.reference);
    }
    references.push(references[1].clone());
    let (ended, cost) = bench.cost(sessions.revoke_many(&references)).await;
    assert_eq!(ended.unwrap(), 4);
    assert_eq!(cost.0, 2);
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
}

async fn all_sessions_of_a_user_end_but_for_one(bench: &Bench) {
    let sessions = bench.sessions();
    let spared = created(&sessions, new("u")).await;
    created(&sessions, new("u")).await;
    created(&sessions, NewSession { id: Some(id("elsewhere 1")), ..new("u") }).await;
    created(&sessions, NewSession { id: Some(id("elsewhere 2")), ..new("u") }).await;
    let other = created(&sessions, new("other")).await;
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 4);
    assert_eq!(sessions.revoke_all(&name("u"), Some(&spared.reference)).await.unwrap(), 3);
    assert!(sessions.exists(&id_of(&spared)).await.unwrap());
    assert!(!sessions.exists(&id("elsewhere 1")).await.unwrap());
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 1);
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 0);
    assert!(sessions.exists(&id_of(&other)).await.unwrap());
}

async fn all_of_many_sessions_end(bench: &Bench) {
    let sessions = bench.sessions();
    for _ in 0..450 {
        created(&sessions, new("u")).await;
    }
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 450);
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
}

async fn all_of_many_partitions_end_in_a_few_round_trips(bench: &Bench) {
    let sessions = bench.sessions();
    let mut partitions = HashSet::new();
    let create = async |partitions: &mut HashSet<String>| {
        for number in 0..60 {
            let chosen = Some(id(&format!("chosen {number}")));
            let session = created(&sessions, NewSession { id: chosen, refresh: number % 2 == 0, ..new("u") }).await;
            partitions.insert(session.reference.to_string()[5..7].to_owned());
        }
    };
    create(&mut partitions).await;
    assert!(partitions.len() >= 20);
    let (ended, cost) = bench.cost(sessions.revoke_all(&name("u"), None)).await;
    assert_eq!(ended.unwrap(), 60);
    assert!(cost.0 <= 5, "{cost:?}");
    assert!(sessions.list_user(&name("u"), None, 100).await.unwrap().items.is_empty());

    create(&mut partitions).await;
    let limited = bench.sessions_with(|settings| settings.max_per_user = 10);
    let (newest, cost) = bench.cost(created(&limited, new("u"))).await;
    assert!(cost.0 <= 8, "{cost:?}");
    assert_eq!(sessions.list_user(&name("u"), None, 100).await.unwrap().items.len(), 10);
    assert!(sessions.exists(&id_of(&newest)).await.unwrap());
}

async fn what_has_the_key_of_a_session_goes_with_the_sessions(bench: &Bench) {
    let sessions = bench.sessions();
    let damaged = created(&sessions, new("u")).await;
    created(&sessions, new("u")).await;
    let shown = damaged.reference.to_string();
    let key = bench.key(&shown[5..7], &format!("session:{}", &shown[7..]));
    bench.raw(&["SET", &key, "no hash"]).await.done().unwrap();
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 2);
    assert_eq!(bench.raw(&["EXISTS", &key]).await.int().unwrap(), 0);
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());

    let taken = NewSession { id: Some(id("chosen")), ..new("u") };
    let shown = created(&sessions, taken.clone()).await.reference.to_string();
    let key = bench.key(&shown[5..7], &format!("session:{}", &shown[7..]));
    bench.raw(&["SET", &key, "no hash"]).await.done().unwrap();
    created(&sessions, taken).await;
    assert!(sessions.exists(&id("chosen")).await.unwrap());
}

async fn nothing_that_races_survives_revoking_all(bench: &Bench) {
    let sessions = bench.sessions();
    for round in 0..60 {
        let user = format!("u{}", round % 7);
        let (refreshed, token) = refreshable(&sessions, &user).await;
        let rotated = created(&sessions, new(&user)).await;
        let touched = created(&sessions, NewSession { id: Some(id(&format!("chosen {round}"))), ..new(&user) }).await;
        let spawn = |what: usize| {
            let (sessions, token, user) = (sessions.clone(), token.clone(), name(&user));
            let (rotated, touched) = (id_of(&rotated), id_of(&touched));
            tokio::spawn(async move {
                match what {
                    0 => drop(sessions.refresh(&token).await.unwrap()),
                    1 => {
                        let mut at = rotated;
                        loop {
                            match rotate(&sessions, &at).await {
                                Ok(Some(next)) => at = id_of(&next),
                                Ok(None) => break,
                                // Not now: it may be told so while the others are being ended.
                                Err(error) => assert_eq!(error, Error::EditConflict),
                            }
                        }
                    }
                    2 => while extend(&sessions, &touched, None).await.unwrap().is_some() {},
                    _ => drop(sessions.revoke_all(&user, None).await.unwrap()),
                }
            })
        };
        // The last one ends the others, or the test, before those are waited for.
        let racing: Vec<_> = (0..4).map(spawn).collect();
        for racer in racing.into_iter().rev() {
            tokio::time::timeout(Duration::from_secs(30), racer).await.expect("a session goes on").unwrap();
        }
        let left = sessions.list_user(&name(&user), None, 10).await.unwrap().items.len();
        assert_eq!(left, 0, "round {round}");
        assert!(!sessions.exists(&id_of(&refreshed)).await.unwrap());
        let again = sessions.refresh(&token).await.unwrap();
        assert!(matches!(again, RefreshOutcome::Invalid), "round {round}: {again:?}");
    }
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
}
