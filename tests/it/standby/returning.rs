//! The way back: revocations first, then what is held here, once, whatever fails on the way.

use super::bench::{
    Fails, Server, World, always, chosen, create, created, data, id_of, is_degraded, name, new, patch, put, refused,
};
use agentapi::stores::sessions::{
    NewSession, PutOutcome, RefreshOutcome, RenewOutcome, RevokeOutcome, SessionId, Touch,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

async fn is_the_backends(server: &Server, id: &SessionId) -> bool {
    let sessions = server.sessions();
    let found = data(&sessions, id).await.is_some();
    assert!(!is_degraded(&sessions), "the outage is over");
    found
}

#[tokio::test]
async fn a_session_is_the_same_in_the_backend_as_it_was_here() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let special = NewSession {
        metadata: super::bench::object(r#"{"ip_address":"é"}"#),
        ttl: Some(Duration::from_secs(500)),
        absolute_ttl: Some(Duration::from_secs(5000)),
        ..new("u")
    };
    let (session, _) = created(&server.sessions(), special).await;
    let id = id_of(&session);
    server.sessions().patch(&id, &patch(r#"{"b":2}"#), &always()).await.unwrap();
    world.advance(Duration::from_secs(100));
    let before = server.sessions().read(&id, Touch::No).await.unwrap().unwrap();
    server.heal().await.unwrap();
    assert_eq!(server.held().await, 0);
    let sessions = server.sessions();
    assert!(sessions.degraded().is_none());
    let after = sessions.read(&id, Touch::No).await.unwrap().unwrap();
    assert_eq!(after.data.as_ref().unwrap().as_str(), r#"{"a":1,"b":2}"#);
    assert_eq!(after.metadata.as_str(), r#"{"ip_address":"é"}"#);
    let times = |s: &agentapi::stores::sessions::Session| {
        (s.version, s.created_at, s.last_activity, s.expires_at, s.absolute_expires_at, s.user_id.clone())
    };
    assert_eq!(times(&after), times(&before));
    let listed = sessions.list(None, 10).await.unwrap().items;
    assert_eq!(listed.iter().map(|s| &s.reference).collect::<Vec<_>>(), [&session.reference]);
    assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
    // It ends when it would have.
    world.advance(Duration::from_millis(399_000));
    assert!(is_the_backends(&server, &id).await);
    world.advance(Duration::from_secs(2));
    assert!(!is_the_backends(&server, &id).await);
}

#[tokio::test]
async fn a_refresh_token_of_the_outage_goes_on_working_and_an_old_one_goes_on_revoking() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let refreshable = || NewSession { refresh: true, ..new("u") };
    let (session, first) = created(&server.sessions(), refreshable()).await;
    let first = first.unwrap();
    let RenewOutcome::Renewed(rotated) = server.sessions().rotate(&id_of(&session), &always()).await.unwrap() else {
        panic!()
    };
    let refreshed = |outcome| match outcome {
        RefreshOutcome::Refreshed { session, refresh } => (id_of(&session), refresh.token.expose().to_owned()),
        other => panic!("{other:?}"),
    };
    let (id, second) = refreshed(server.sessions().refresh(&first).await.unwrap());
    server.heal().await.unwrap();
    for old in [id_of(&session), id_of(&rotated)] {
        assert!(!is_the_backends(&server, &old).await, "it is under its last id only");
    }
    assert!(is_the_backends(&server, &id).await);
    let again = refreshed(server.sessions().refresh(&first).await.unwrap());
    assert_eq!(again, (id, second.clone()), "within the grace the same answer");
    let (id, third) = refreshed(server.sessions().refresh(&second).await.unwrap());
    assert!(matches!(server.sessions().refresh(&first).await.unwrap(), RefreshOutcome::Reused));
    assert!(!is_the_backends(&server, &id).await);
    assert!(matches!(server.sessions().refresh(&third).await.unwrap(), RefreshOutcome::Invalid));
}

#[tokio::test]
async fn a_session_that_has_ended_and_can_be_refreshed_comes_back_after_it() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let (_, token) = created(&server.sessions(), NewSession { refresh: true, ..new("u") }).await;
    world.advance(Duration::from_secs(4000));
    server.heal().await.unwrap();
    assert!(matches!(server.sessions().refresh(&token.unwrap()).await.unwrap(), RefreshOutcome::Refreshed { .. }));
}

#[tokio::test]
async fn a_session_that_is_over_is_not_written() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let id = create(&server.sessions(), "u").await;
    world.advance(Duration::from_secs(3601));
    server.heal().await.unwrap();
    assert!(!is_the_backends(&server, &id).await);
    assert_eq!(server.sessions().list(None, 10).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn what_was_ended_in_the_outage_is_ended_in_the_backend_with_its_refresh_tokens() {
    let world = World::new();
    let server = world.server();
    let (one, token) = created(&server.sessions(), NewSession { refresh: true, ..new("u") }).await;
    let spared = create(&server.sessions(), "v").await;
    let others = [create(&server.sessions(), "v").await, create(&server.sessions(), "v").await];
    let of_another = create(&server.sessions(), "w").await;
    server.cut().await;
    server.sessions().revoke(&one.reference, &always()).await.unwrap();
    assert_eq!(server.sessions().revoke_all(&name("v"), Some(spared.reference())).await.unwrap(), 0);
    server.heal().await.unwrap();
    assert!(!is_the_backends(&server, &id_of(&one)).await);
    assert!(matches!(server.sessions().refresh(&token.unwrap()).await.unwrap(), RefreshOutcome::Invalid));
    for id in &others {
        assert!(!is_the_backends(&server, id).await);
    }
    assert!(is_the_backends(&server, &spared).await && is_the_backends(&server, &of_another).await);
}

#[tokio::test]
async fn a_revocation_of_all_ends_what_was_there_and_not_what_came_later() {
    let world = World::new();
    let server = world.server();
    let before = create(&server.sessions(), "u").await;
    server.cut().await;
    let here = create(&server.sessions(), "u").await;
    let spared = create(&server.sessions(), "u").await;
    assert_eq!(server.sessions().revoke_all(&name("u"), Some(spared.reference())).await.unwrap(), 1);
    let later = create(&server.sessions(), "u").await;
    let RenewOutcome::Renewed(spared) = server.sessions().rotate(&spared, &always()).await.unwrap() else { panic!() };
    server.heal().await.unwrap();
    assert!(!is_the_backends(&server, &before).await && !is_the_backends(&server, &here).await);
    assert!(is_the_backends(&server, &later).await, "who signs in afterwards stays signed in");
    assert!(is_the_backends(&server, &id_of(&spared)).await, "also under another id");
}

#[tokio::test]
async fn a_deletion_ends_no_session_that_came_later_under_the_same_id() {
    let world = World::new();
    let (cut_off, other) = (world.server(), world.server());
    other.sessions().put(&chosen("mine"), put("u", "{}"), &always()).await.unwrap();
    cut_off.cut().await;
    cut_off.sessions().revoke(chosen("mine").reference(), &always()).await.unwrap();
    other.sessions().revoke(chosen("mine").reference(), &always()).await.unwrap();
    world.advance(Duration::from_millis(1001));
    let outcome = other.sessions().put(&chosen("mine"), put("u", r#"{"new":1}"#), &always()).await.unwrap();
    assert!(matches!(outcome, PutOutcome::Created(_)));
    cut_off.heal().await.unwrap();
    assert_eq!(data(&cut_off.sessions(), &chosen("mine")).await.as_deref(), Some(r#"{"new":1}"#));
}

#[tokio::test]
async fn a_revocation_by_a_clock_that_is_behind_ends_what_had_just_been_made() {
    let world = World::new();
    let (cut_off, other) = (world.server_behind(Duration::from_millis(900)), world.server());
    let (one, of_all) = (create(&other.sessions(), "u").await, create(&other.sessions(), "v").await);
    cut_off.cut().await;
    cut_off.sessions().revoke(one.reference(), &always()).await.unwrap();
    cut_off.sessions().revoke_all(&name("v"), None).await.unwrap();
    cut_off.heal().await.unwrap();
    for id in [&one, &of_all] {
        assert_eq!(data(&other.sessions(), id).await, None);
    }
}

#[tokio::test]
async fn a_session_that_was_given_to_another_user_here_is_found_among_that_ones() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let id = create(&server.sessions(), "u").await;
    server.sessions().put(&id, put("somebody else", "{}"), &always()).await.unwrap();
    server.heal().await.unwrap();
    assert_eq!(server.sessions().list_user(&name("u"), None, 10).await.unwrap().items.len(), 0);
    assert_eq!(server.sessions().list_user(&name("somebody else"), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(server.sessions().revoke_all(&name("somebody else"), None).await.unwrap(), 1);
    assert!(!is_the_backends(&server, &id).await);
}

/// Fails at every step of the way back, in every way, and demands that nothing is lost and nothing comes back.
#[tokio::test]
async fn a_way_back_that_fails_anywhere_loses_nothing_and_brings_nothing_back() {
    for fails in [Fails::Unsent, Fails::Answerless, Fails::Halfway, Fails::Late] {
        let mut failures = 0;
        for step in 0.. {
            let world = World::new();
            let (server, other) = (world.server(), world.server());
            let (deleted, all_of) = (create(&server.sessions(), "d").await, create(&server.sessions(), "all").await);
            server.cut().await;
            server.sessions().revoke(deleted.reference(), &always()).await.unwrap();
            server.sessions().revoke_all(&name("all"), None).await.unwrap();
            let (kept, doomed, written) = (
                create(&server.sessions(), "k").await,
                create(&server.sessions(), "k").await,
                create(&server.sessions(), "w").await,
            );
            server.outage.set(false);
            server.fail_after(step, fails);
            let came_back = server.standby.give_back().await.is_ok();
            let before = server.way.failed.load(Ordering::SeqCst);
            server.fail_after(0, Fails::Unsent);
            server.outage.set(true);
            if !came_back {
                failures += 1;
                server.standby.engage().await;
            }
            // What is in doubt is refused; what is not is served; what ended here has ended.
            match server.sessions().revoke(doomed.reference(), &always()).await {
                Ok(outcome) => assert_eq!(outcome, RevokeOutcome::Revoked),
                Err(_) => assert!(came_back, "a session can be ended at any time"),
            }
            let patched = server.sessions().patch(&written, &patch(r#"{"b":2}"#), &always()).await.is_ok();
            // The other server ends what it finds.
            let ended_there = other.sessions().revoke(kept.reference(), &always()).await.unwrap();
            server.heal().await.unwrap();
            assert_eq!(server.arrive().await > 0, fails == Fails::Late && !came_back);
            let kept_there = data(&server.sessions(), &kept).await.is_some();
            assert_eq!(kept_there, ended_there == RevokeOutcome::Absent, "{fails:?} at {step}");
            assert_eq!(data(&server.sessions(), &doomed).await.is_some(), came_back, "{fails:?} at {step}");
            assert!(!is_the_backends(&server, &deleted).await && !is_the_backends(&server, &all_of).await);
            let expected = if patched { r#"{"a":1,"b":2}"# } else { r#"{"a":1}"# };
            assert_eq!(data(&server.sessions(), &written).await.as_deref(), Some(expected), "{fails:?} at {step}");
            if came_back {
                assert_eq!(before, 0);
                break;
            }
            assert!(before > 0, "the failure was not injected");
        }
        assert!(failures > 5, "{fails:?}: the way back has only {failures} steps");
    }
}

#[tokio::test]
async fn while_some_are_still_here_the_backend_serves_the_rest() {
    let world = World::new();
    let server = world.server();
    let before = create(&server.sessions(), "u").await;
    server.cut().await;
    let mut here = Vec::new();
    for n in 0..300 {
        here.push(create(&server.sessions(), &format!("u{n}")).await);
    }
    // One step succeeds, and the next one fails.
    server.outage.set(false);
    server.fail_after(4, Fails::Unsent);
    assert!(server.standby.give_back().await.is_err());
    let held = server.held().await;
    assert!((1..300).contains(&held), "{held} are still here");
    server.fail_after(0, Fails::Not);
    let mut from_here = 0;
    for id in &here {
        let sessions = server.sessions();
        assert!(data(&sessions, id).await.is_some());
        from_here += usize::from(is_degraded(&sessions));
    }
    assert_eq!(from_here, held);
    let sessions = server.sessions();
    assert!(data(&sessions, &before).await.is_some() && !is_degraded(&sessions));
    let all = server.sessions().read_many(&here).await.unwrap();
    assert!(all.iter().all(Option::is_some));
    refused(server.sessions().list(None, 10).await);
    // What is made now is the backend's; what is ended now has ended on both sides.
    let sessions = server.sessions();
    create(&sessions, "new").await;
    assert!(!is_degraded(&sessions));
    for n in 0..300 {
        assert_eq!(server.sessions().revoke_all(&name(&format!("u{n}")), None).await.unwrap(), 1);
    }
    server.heal().await.unwrap();
    for id in &here {
        assert_eq!(data(&server.sessions(), id).await, None);
    }
    assert_eq!(server.sessions().list(None, 10).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_server_follows_the_outage_by_itself() {
    let world = World::new();
    let server = world.server();
    let follows = tokio::spawn(server.standby.clone().follow());
    server.fail_after(0, Fails::Unsent);
    server.outage.set(true);
    while !server.standby.is_engaged() {
        tokio::task::yield_now().await;
    }
    let id = create(&server.sessions(), "u").await;
    server.outage.set(false);
    while server.way.failed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(data(&server.sessions(), &id).await.is_some(), "it could not be written, and is still here");
    server.fail_after(0, Fails::Not);
    while server.standby.is_engaged() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(is_the_backends(&server, &id).await);
    follows.abort();
}

#[tokio::test]
async fn nobody_waits_for_a_step_of_the_way_back_that_hangs() {
    let world = World::new();
    let (server, other) = (world.server(), world.server());
    server.cut().await;
    let (mut in_step, mut not_yet) =
        (create(&server.sessions_of("one"), "u").await, create(&server.sessions_of("two"), "u").await);
    let (mut first, mut second) = ("one", "two");
    server.fail_after(0, Fails::Hangs);
    server.outage.set(false);
    let standby = server.standby.clone();
    let way_back = tokio::spawn(async move { standby.give_back().await });
    while server.way.failed.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let limit = Duration::from_millis(900);
    let timely = async |server: &Server, tenant: &str, id: &SessionId| {
        let sessions = server.sessions_of(tenant);
        tokio::time::timeout(limit, sessions.read(id, Touch::No)).await.expect("it is answered in time")
    };
    // Which of the two is on its way is open: the other one is served.
    if timely(&server, second, &not_yet).await.is_err() {
        (first, second) = (second, first);
        (in_step, not_yet) = (not_yet, in_step);
        assert!(timely(&server, second, &not_yet).await.unwrap().is_some());
    }
    refused(timely(&server, first, &in_step).await);
    // A deletion is not kept waiting, and is not undone by what arrives.
    let sessions = server.sessions_of(first);
    let ended = tokio::time::timeout(limit, sessions.revoke(in_step.reference(), &always())).await;
    assert_eq!(ended.expect("in time").unwrap(), RevokeOutcome::Revoked);
    server.fail_after(0, Fails::Not);
    way_back.await.unwrap().unwrap();
    for server in [&server, &other] {
        assert_eq!(data(&server.sessions_of(first), &in_step).await, None);
        assert!(data(&server.sessions_of(second), &not_yet).await.is_some());
    }
    assert!(!server.standby.is_engaged());
}
