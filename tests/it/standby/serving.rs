//! What is served during an outage, and that the answer says so.

use super::bench::{
    World, always, at_version, chosen, create, created, data, id_of, is_degraded, name, new, patch, put, refused,
};
use agentapi::stores::sessions::{
    CreateOutcome, NewSession, PatchOutcome, PutOutcome, RefreshOutcome, RenewOutcome, RevokeOutcome, Touch,
};

#[tokio::test]
async fn a_session_that_is_made_in_an_outage_is_served_in_it() {
    let (world, server) = {
        let world = World::new();
        let server = world.server();
        (world, server)
    };
    server.cut().await;
    let sessions = server.sessions();
    let (session, token) = created(&sessions, NewSession { refresh: true, ..new("u") }).await;
    assert!(is_degraded(&sessions), "a created session is said to be in memory");
    let id = id_of(&session);
    for step in ["read", "exists", "put", "patch", "extend", "batch"] {
        let sessions = server.sessions();
        match step {
            "read" => assert_eq!(data(&sessions, &id).await.as_deref(), Some(r#"{"a":1}"#)),
            "exists" => assert!(sessions.exists(&id).await.unwrap()),
            "put" => {
                let outcome = sessions.put(&id, put("u", r#"{"b":2}"#), &at_version(1)).await.unwrap();
                assert!(matches!(outcome, PutOutcome::Replaced(session) if session.version == 2));
            }
            "patch" => {
                let outcome = sessions.patch(&id, &patch(r#"{"c":3}"#), &at_version(2)).await.unwrap();
                assert!(matches!(outcome, PatchOutcome::Patched(session) if session.version == 3));
                let outcome = sessions.patch(&id, &patch("{}"), &at_version(1)).await.unwrap();
                assert!(matches!(outcome, PatchOutcome::VersionMismatch));
            }
            "extend" => {
                let ttl = Some(std::time::Duration::from_secs(7200));
                let outcome = sessions.extend(&id, ttl, &always()).await.unwrap();
                assert!(matches!(outcome, RenewOutcome::Renewed(session) if session.ttl == 7200));
            }
            _ => {
                let read = sessions.read_many(std::slice::from_ref(&id)).await.unwrap();
                assert_eq!(read[0].as_ref().unwrap().version, 3);
            }
        }
        assert!(is_degraded(&sessions), "{step}");
    }
    let RenewOutcome::Renewed(rotated) = server.sessions().rotate(&id, &always()).await.unwrap() else { panic!() };
    assert_eq!(data(&server.sessions(), &id).await, None, "the old id is gone");
    let token = token.unwrap();
    let RefreshOutcome::Refreshed { session, .. } = server.sessions().refresh(&token).await.unwrap() else { panic!() };
    assert_eq!(data(&server.sessions(), &id_of(&rotated)).await, None, "the id before the refresh is gone");
    assert_eq!(data(&server.sessions(), &id_of(&session)).await.as_deref(), Some(r#"{"b":2,"c":3}"#));
    let RefreshOutcome::Refreshed { session: again, .. } = server.sessions().refresh(&token).await.unwrap() else {
        panic!("a repeat within the grace gets the same answer")
    };
    assert_eq!(again.id, session.id);
    let outcome = server.sessions().revoke(&session.reference, &always()).await.unwrap();
    assert_eq!(outcome, RevokeOutcome::Revoked);
    let sessions = server.sessions();
    assert_eq!(data(&sessions, &id_of(&session)).await, None);
    assert!(is_degraded(&sessions), "that it has ended is known here alone");
    assert!(matches!(server.sessions().refresh(&token).await.unwrap(), RefreshOutcome::Invalid));
    assert_eq!(server.held().await, 0);
    assert!(server.way.failed.load(std::sync::atomic::Ordering::SeqCst) == 0, "the backend was not asked at all");
    drop(world);
}

#[tokio::test]
async fn what_is_not_known_here_is_refused_and_not_called_absent() {
    let world = World::new();
    let server = world.server();
    let sessions = server.sessions();
    let (known, token) = created(&sessions, NewSession { refresh: true, ..new("u") }).await;
    let id = id_of(&known);
    server.cut().await;
    let sessions = server.sessions();
    refused(sessions.read(&id, Touch::Yes).await);
    refused(sessions.exists(&id).await);
    refused(sessions.put(&id, put("u", "{}"), &always()).await);
    refused(sessions.patch(&id, &patch("{}"), &at_version(1)).await);
    refused(sessions.extend(&id, None, &always()).await);
    refused(sessions.rotate(&id, &always()).await);
    refused(sessions.refresh(&token.unwrap()).await);
    refused(sessions.revoke(&known.reference, &at_version(1)).await);
    refused(sessions.list(None, 10).await);
    refused(sessions.list_user(&name("u"), None, 10).await);
    refused(sessions.create(NewSession { id: Some(chosen("mine")), ..new("u") }).await);
    let here = create(&server.sessions(), "u").await;
    refused(server.sessions().read_many(&[here.clone(), id.clone()]).await);
    assert!(!is_degraded(&sessions), "a refusal comes from nowhere");
    assert!(matches!(
        sessions.create(NewSession { id: Some(chosen("ses_x")), ..new("u") }).await.unwrap(),
        CreateOutcome::ReservedId
    ));
    assert!(matches!(sessions.refresh("no token").await.unwrap(), RefreshOutcome::Invalid));
    server.heal().await.unwrap();
    assert!(data(&server.sessions(), &id).await.is_some() && data(&server.sessions(), &here).await.is_some());
}

#[tokio::test]
async fn anything_can_be_ended_in_an_outage_and_reads_as_ended_here() {
    let world = World::new();
    let server = world.server();
    let (one, other) = (create(&server.sessions(), "u").await, create(&server.sessions(), "u").await);
    server.cut().await;
    let sessions = server.sessions();
    assert_eq!(sessions.revoke(one.reference(), &always()).await.unwrap(), RevokeOutcome::Revoked);
    assert!(is_degraded(&sessions));
    assert_eq!(data(&server.sessions(), &one).await, None);
    assert_eq!(sessions.revoke(one.reference(), &always()).await.unwrap(), RevokeOutcome::Absent);
    let here = create(&server.sessions(), "u").await;
    let all = [one.reference().clone(), other.reference().clone(), here.reference().clone()];
    assert_eq!(server.sessions().revoke_many(&all).await.unwrap(), 2);
    for id in [&one, &other, &here] {
        assert_eq!(data(&server.sessions(), id).await, None);
        refused(server.sessions().put(id, put("u", "{}"), &always()).await);
    }
    server.heal().await.unwrap();
    for id in [&one, &other, &here] {
        assert_eq!(data(&server.sessions(), id).await, None);
    }
}

#[tokio::test]
async fn another_tenants_session_is_not_known_here_either() {
    let world = World::new();
    let server = world.server();
    server.cut().await;
    let id = create(&server.sessions_of("acme"), "u").await;
    refused(server.sessions_of("other").read(&id, Touch::No).await);
    assert_eq!(server.sessions_of("other").revoke_all(&name("u"), None).await.unwrap(), 0);
    server.sessions_of("other").revoke(id.reference(), &always()).await.unwrap();
    assert!(data(&server.sessions_of("acme"), &id).await.is_some());
    server.heal().await.unwrap();
    assert!(data(&server.sessions_of("acme"), &id).await.is_some());
    assert!(data(&server.sessions_of("other"), &id).await.is_none());
}

#[tokio::test]
async fn a_server_without_a_standby_or_an_outage_asks_the_backend() {
    let world = World::new();
    let server = world.server();
    let sessions = server.sessions();
    let id = create(&sessions, "u").await;
    assert!(sessions.degraded().is_none() && server.held().await == 0);
    server.fail_after(0, super::bench::Fails::Unsent);
    refused(server.sessions().read(&id, Touch::No).await);
    refused(server.sessions().create(new("u")).await);
}
