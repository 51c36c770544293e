//! Refresh tokens: one good one, a grace for the one before it, and the end for all that is older.

use super::bench::{
    Bench, created, created_with_token, data_of, extend, id, id_of, name, new, object, refreshable, rotate,
};
use agentapi::stores::sessions::{NewSession, RefreshOutcome, Session, Sessions, Touch};
use std::time::Duration;

on_every_backend!(
    a_refresh_gives_a_new_token_and_a_new_id,
    a_repeat_within_the_grace_gets_the_same_answer,
    an_older_token_ends_the_session_and_the_family,
    a_malformed_token_costs_nothing,
    of_eight_presenters_all_get_one_answer,
    a_rotated_session_is_still_refreshed,
    a_chosen_id_is_refreshed_where_it_lies,
    a_token_never_refreshes_another_session_under_the_same_id,
    what_is_repeated_because_an_answer_was_lost_happens_once,
);

pub async fn refreshed(sessions: &Sessions, token: &str) -> (Session, String) {
    match sessions.refresh(token).await.unwrap() {
        RefreshOutcome::Refreshed { session, refresh } => (session, refresh.token.expose().to_owned()),
        other => panic!("not refreshed: {other:?}"),
    }
}

async fn a_refresh_gives_a_new_token_and_a_new_id(bench: &Bench) {
    let sessions = bench.sessions();
    let new = NewSession { data: object(r#"{"a":1}"#), refresh: true, ..new("u") };
    let (before, token) = created_with_token(&sessions, new).await;
    let token = token.unwrap();
    let (after, next) = refreshed(&sessions, &token).await;
    assert_ne!((&after.id, &next), (&before.id, &token));
    assert_eq!((data_of(&after), after.created_at, after.ttl), (r#"{"a":1}"#, before.created_at, 3600));
    assert!(!sessions.exists(&id_of(&before)).await.unwrap());
    assert!(sessions.exists(&id_of(&after)).await.unwrap());
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
    let (last, _) = refreshed(&sessions, &next).await;
    assert_eq!(sessions.read(&id_of(&last), Touch::No).await.unwrap().unwrap().version, 1);
}

async fn a_repeat_within_the_grace_gets_the_same_answer(bench: &Bench) {
    let sessions = bench.sessions();
    let (_, token) = refreshable(&sessions, "u").await;
    let first = refreshed(&sessions, &token).await;
    let again = refreshed(&sessions, &token).await;
    assert_eq!((&first.0.id, &first.1), (&again.0.id, &again.1));
    // Where the session has moved on under yet another id, the repeat has nothing left to give.
    rotate(&sessions, &id_of(&first.0)).await.unwrap().unwrap();
    assert!(matches!(sessions.refresh(&token).await.unwrap(), RefreshOutcome::Invalid));
    refreshed(&sessions, &first.1).await;
}

async fn an_older_token_ends_the_session_and_the_family(bench: &Bench) {
    let sessions = bench.sessions();
    let (_, first) = refreshable(&sessions, "u").await;
    let (_, second) = refreshed(&sessions, &first).await;
    let (session, third) = refreshed(&sessions, &second).await;
    assert!(matches!(sessions.refresh(&first).await.unwrap(), RefreshOutcome::Reused));
    assert!(!sessions.exists(&id_of(&session)).await.unwrap());
    for token in [&first, &second, &third] {
        assert!(matches!(sessions.refresh(token).await.unwrap(), RefreshOutcome::Invalid));
    }
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
}

async fn a_malformed_token_costs_nothing(bench: &Bench) {
    let sessions = bench.sessions();
    let (session, token) = refreshable(&sessions, "u").await;
    let (cut, tampered) = (&token[..token.len() - 1], token.replace("rft_", "rft-"));
    for bad in ["", "rft_", cut, &tampered, session.id.as_ref().unwrap().as_str(), &"é".repeat(49)] {
        let (outcome, cost) = bench.cost(sessions.refresh(bad)).await;
        assert!(matches!(outcome.unwrap(), RefreshOutcome::Invalid));
        assert_eq!(cost, (0, 0));
    }
    refreshed(&sessions, &token).await;
}

async fn of_eight_presenters_all_get_one_answer(bench: &Bench) {
    let sessions = bench.sessions();
    for round in 0..40 {
        let (_, token) = refreshable(&sessions, &format!("u{round}")).await;
        let presenters = (0..8).map(|_| {
            let (sessions, token) = (sessions.clone(), token.clone());
            tokio::spawn(async move { refreshed(&sessions, &token).await })
        });
        let mut answers = Vec::new();
        for presenter in presenters.collect::<Vec<_>>() {
            let (session, next) = presenter.await.unwrap();
            answers.push((session.id, next));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "round {round}");
        assert_eq!(sessions.list_user(&name(&format!("u{round}")), None, 10).await.unwrap().items.len(), 1);
    }
}

async fn a_rotated_session_is_still_refreshed(bench: &Bench) {
    let sessions = bench.sessions();
    let (session, token) = refreshable(&sessions, "u").await;
    let rotated = rotate(&sessions, &id_of(&session)).await.unwrap().unwrap();
    let (after, _) = refreshed(&sessions, &token).await;
    assert!(!sessions.exists(&id_of(&rotated)).await.unwrap());
    assert!(sessions.exists(&id_of(&after)).await.unwrap());
}

async fn a_chosen_id_is_refreshed_where_it_lies(bench: &Bench) {
    let sessions = bench.sessions();
    let new = NewSession { id: Some(id("chosen")), refresh: true, ..new("u") };
    let (_, token) = created_with_token(&sessions, new).await;
    let (after, _) = refreshed(&sessions, &token.unwrap()).await;
    assert!(!sessions.exists(&id("chosen")).await.unwrap());
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 1);
    assert!(!sessions.exists(&id_of(&after)).await.unwrap());
}

async fn what_is_repeated_because_an_answer_was_lost_happens_once(bench: &Bench) {
    // Without a grace, a repeat would end the session, if it were not told from a second presentation.
    let sessions = bench.sessions_with(|settings| settings.refresh_grace = Duration::ZERO);
    let (session, token) = refreshable(&sessions, "u").await;
    bench.say_twice();
    let chosen = NewSession { id: Some(id("chosen")), ..new("v") };
    created(&sessions, chosen).await;
    assert_eq!(sessions.list_user(&name("v"), None, 10).await.unwrap().items.len(), 1);
    let rotated = rotate(&sessions, &id_of(&session)).await.unwrap().unwrap();
    let extended = extend(&sessions, &id_of(&rotated), Some(Duration::from_secs(60))).await.unwrap().unwrap();
    assert_eq!((extended.version, extended.ttl), (1, 60));
    let (after, next) = refreshed(&sessions, &token).await;
    let (last, _) = refreshed(&sessions, &next).await;
    assert!(!sessions.exists(&id_of(&after)).await.unwrap());
    assert!(sessions.exists(&id_of(&last)).await.unwrap());
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
    for user in ["u", "v"] {
        sessions.revoke_all(&name(user), None).await.unwrap();
    }
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
}

async fn a_token_never_refreshes_another_session_under_the_same_id(bench: &Bench) {
    let sessions = bench.sessions();
    let chosen = || NewSession { id: Some(id("chosen")), refresh: true, ..new("u") };
    let (first, token) = created_with_token(&sessions, chosen()).await;
    let text = first.reference.to_string();
    let key = bench.key(&text[5..7], &format!("session:{}", &text[7..]));
    // It is damaged, and its successor does not know of its token.
    bench.raw(&["HSET", &key, "times", "nonsense"]).await.count().unwrap();
    bench.tick();
    let (second, _) = created_with_token(&sessions, chosen()).await;
    assert!(matches!(sessions.refresh(&token.unwrap()).await.unwrap(), RefreshOutcome::Invalid));
    assert!(sessions.exists(&id_of(&second)).await.unwrap());
    // What the indexes still say of the damaged one is not taken for its successor.
    assert_eq!(sessions.list(None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 1);
    assert!(!sessions.exists(&id_of(&second)).await.unwrap());
}
