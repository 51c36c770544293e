//! Putting, patching, extending and rotating.

use super::bench::{Bench, at_version, created, data_of, extend, id, id_of, name, new, object, rotate, unconditional};
use agentapi::base::precondition::{Precondition, Versions};
use agentapi::stores::sessions::{
    JsonObject, NewSession, ObjectPatch, PatchOutcome, PatchSession, PutOutcome, PutSession, Touch,
};
use std::time::Duration;

on_every_backend!(
    putting_creates_and_then_replaces,
    a_put_obeys_its_preconditions,
    a_put_can_give_a_session_to_another_user,
    a_patch_merges_and_counts_the_version,
    concurrent_patches_lose_nothing,
    a_session_does_not_grow_without_end,
    extending_sets_the_expiry,
    a_rotated_session_is_only_under_its_new_id,
);

fn put(user: &str, data: &str) -> PutSession {
    PutSession { user_id: name(user), data: object(data), metadata: JsonObject::default(), ttl: None }
}

fn merge(data: &str) -> PatchSession {
    PatchSession { data: ObjectPatch::Merge(object(data)), metadata: ObjectPatch::Keep }
}

async fn putting_creates_and_then_replaces(bench: &Bench) {
    let sessions = bench.sessions();
    let PutOutcome::Created(first) = sessions.put(&id("s"), put("u", r#"{"a":1}"#), &unconditional()).await.unwrap()
    else {
        panic!("it was absent")
    };
    assert_eq!(first.version, 1);
    let PutOutcome::Replaced(second) = sessions.put(&id("s"), put("u", r#"{"b":2}"#), &unconditional()).await.unwrap()
    else {
        panic!("it was there")
    };
    assert_eq!((second.version, data_of(&second), second.created_at), (2, r#"{"b":2}"#, first.created_at));
    let read = sessions.read(&id("s"), Touch::No).await.unwrap().unwrap();
    assert_eq!((read.version, data_of(&read)), (2, r#"{"b":2}"#));
    assert!(matches!(
        sessions.put(&id("ses_s"), put("u", "{}"), &unconditional()).await.unwrap(),
        PutOutcome::ReservedId
    ));
}

async fn a_put_obeys_its_preconditions(bench: &Bench) {
    let sessions = bench.sessions();
    let any = Precondition { matches: Some(Versions::Any), differs: None };
    let absent = Precondition { matches: None, differs: Some(Versions::Any) };
    for never in [any.clone(), at_version(1)] {
        let outcome = sessions.put(&id("s"), put("u", "{}"), &never).await.unwrap();
        assert!(matches!(outcome, PutOutcome::VersionMismatch));
    }
    assert!(!sessions.exists(&id("s")).await.unwrap());
    assert!(matches!(sessions.put(&id("s"), put("u", "{}"), &absent).await.unwrap(), PutOutcome::Created(_)));
    assert!(matches!(sessions.put(&id("s"), put("u", "{}"), &absent).await.unwrap(), PutOutcome::VersionMismatch));
    let stale = at_version(2);
    assert!(matches!(sessions.put(&id("s"), put("u", "{}"), &stale).await.unwrap(), PutOutcome::VersionMismatch));
    for holds in [at_version(1), any] {
        assert!(matches!(sessions.put(&id("s"), put("u", "{}"), &holds).await.unwrap(), PutOutcome::Replaced(_)));
    }
}

async fn a_put_can_give_a_session_to_another_user(bench: &Bench) {
    let sessions = bench.sessions();
    let (session, token) = super::bench::refreshable(&sessions, "from").await;
    let at = id_of(&session);
    let outcome = sessions.put(&at, put("to", "{}"), &unconditional()).await.unwrap();
    assert!(matches!(outcome, PutOutcome::Replaced(_)));
    assert!(sessions.list_user(&name("from"), None, 10).await.unwrap().items.is_empty());
    assert_eq!(sessions.list_user(&name("to"), None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.list(None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.revoke_all(&name("from"), None).await.unwrap(), 0);
    assert!(sessions.exists(&at).await.unwrap());
    assert_eq!(sessions.revoke_all(&name("to"), None).await.unwrap(), 1);
    assert!(!sessions.exists(&at).await.unwrap());
    let outcome = sessions.refresh(&token).await.unwrap();
    assert!(matches!(outcome, agentapi::stores::sessions::RefreshOutcome::Invalid));
}

async fn a_patch_merges_and_counts_the_version(bench: &Bench) {
    let sessions = bench.sessions();
    let session = created(&sessions, NewSession { data: object(r#"{"a":1.0,"b":{"c":2}}"#), ..new("u") }).await;
    let at = id_of(&session);
    let patched = sessions.patch(&at, &merge(r#"{"b":{"c":null,"d":3}}"#), &at_version(1)).await.unwrap();
    let PatchOutcome::Patched(patched) = patched else { panic!("it was there") };
    assert_eq!((patched.version, data_of(&patched)), (2, r#"{"a":1.0,"b":{"d":3}}"#));
    let stale = sessions.patch(&at, &merge("{}"), &at_version(1)).await.unwrap();
    assert!(matches!(stale, PatchOutcome::VersionMismatch));
    let absent = sessions.patch(&id("absent"), &merge("{}"), &unconditional()).await.unwrap();
    assert!(matches!(absent, PatchOutcome::Absent));
    let clear = PatchSession { data: ObjectPatch::Clear, metadata: ObjectPatch::Merge(object(r#"{"m":1}"#)) };
    sessions.patch(&at, &clear, &unconditional()).await.unwrap();
    let read = sessions.read(&at, Touch::No).await.unwrap().unwrap();
    assert_eq!((data_of(&read), read.metadata.as_str(), read.version), ("{}", r#"{"m":1}"#, 3));
}

async fn concurrent_patches_lose_nothing(bench: &Bench) {
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    let writers = (0..6).map(|writer| {
        let (sessions, at) = (sessions.clone(), at.clone());
        tokio::spawn(async move {
            for number in 0..10 {
                let patch = merge(&format!(r#"{{"w{writer}-{number}":{number}}}"#));
                assert!(matches!(
                    sessions.patch(&at, &patch, &unconditional()).await.unwrap(),
                    PatchOutcome::Patched(_)
                ));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let read = sessions.read(&at, Touch::No).await.unwrap().unwrap();
    let data: serde_json::Value = serde_json::from_str(data_of(&read)).unwrap();
    assert_eq!(data.as_object().unwrap().len(), 60);
    assert_eq!(read.version, 61);
}

async fn a_session_does_not_grow_without_end(bench: &Bench) {
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    let large = "x".repeat(400_000);
    let mut outcomes = Vec::new();
    for number in 0..3 {
        outcomes.push(
            sessions.patch(&at, &merge(&format!(r#"{{"m{number}":"{large}"}}"#)), &unconditional()).await.unwrap(),
        );
    }
    assert!(matches!(outcomes[..], [PatchOutcome::Patched(_), PatchOutcome::Patched(_), PatchOutcome::TooLarge]));
    let smaller = sessions.patch(&at, &merge(r#"{"m0":null}"#), &unconditional()).await.unwrap();
    assert!(matches!(smaller, PatchOutcome::Patched(_)));
}

async fn extending_sets_the_expiry(bench: &Bench) {
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    let longer = extend(&sessions, &at, Some(Duration::from_secs(7200))).await.unwrap().unwrap();
    assert_eq!(longer.ttl, 7200);
    let again = extend(&sessions, &at, None).await.unwrap().unwrap();
    assert_eq!(again.ttl, 7200, "the lifetime is its own from now on");
    let shorter = extend(&sessions, &at, Some(Duration::from_secs(60))).await.unwrap().unwrap();
    assert_eq!((shorter.ttl, shorter.version), (60, 1));
    assert!(extend(&sessions, &id("absent"), None).await.unwrap().is_none());
}

async fn a_rotated_session_is_only_under_its_new_id(bench: &Bench) {
    let sessions = bench.sessions();
    for chosen in [None, Some(id("chosen"))] {
        let before = created(&sessions, NewSession { id: chosen, data: object(r#"{"a":1}"#), ..new("u") }).await;
        let after = rotate(&sessions, &id_of(&before)).await.unwrap().unwrap();
        assert!(!sessions.exists(&id_of(&before)).await.unwrap());
        let read = sessions.read(&id_of(&after), Touch::No).await.unwrap().unwrap();
        assert_eq!((data_of(&read), read.created_at), (r#"{"a":1}"#, before.created_at));
        assert_eq!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.len(), 1);
        assert!(rotate(&sessions, &id_of(&before)).await.unwrap().is_none());
        assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 1);
        assert!(!sessions.exists(&id_of(&after)).await.unwrap());
    }
}
