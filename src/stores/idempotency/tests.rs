//! The records over the embedded backend, with a clock that can be moved.

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database};
use std::sync::Arc;
use std::time::Duration;

fn store() -> (IdempotencyStore, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
    let database = Database::new(memory, "test", BackendClock::new(Arc::new(clock.clone())));
    let tenant = TenantId::parse("acme").unwrap();
    (IdempotencyStore::new(Owner::Tenant(database.tenant(&tenant))), clock)
}

fn request<'a>(credential: &'a str, key: &'a str, body: u8) -> Request<'a> {
    Request { credential, key, fingerprint: [body; 32] }
}

fn answer() -> Answer {
    Answer { status: 201, headers: vec![("etag".into(), "\"1\"".into())], body: "{}".into() }
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_another_is_refused() {
    let (store, _) = store();
    let first = request("key", "k1", 1);
    assert!(matches!(store.begin(first).await, Ok(Begun::First(_))));
    assert_eq!(store.begin(first).await, Ok(Begun::Running));
    assert_eq!(store.begin(request("key", "k1", 2)).await, Ok(Begun::Reused));
    store.finish(first, &answer()).await.unwrap();
    assert_eq!(store.begin(first).await, Ok(Begun::Answered(answer())));
    assert_eq!(store.begin(request("key", "k1", 2)).await, Ok(Begun::Reused));
}

#[tokio::test]
async fn another_credential_or_key_knows_nothing_of_it() {
    let (store, _) = store();
    assert!(matches!(store.begin(request("key", "k1", 1)).await, Ok(Begun::First(_))));
    assert!(matches!(store.begin(request("other", "k1", 1)).await, Ok(Begun::First(_))));
    assert!(matches!(store.begin(request("key", "k2", 1)).await, Ok(Begun::First(_))));
}

#[tokio::test]
async fn a_key_is_free_again_when_its_request_was_abandoned_or_its_time_is_over() {
    let (store, clock) = store();
    let first = request("key", "k1", 1);
    let Ok(Begun::First(note)) = store.begin(first).await else { panic!("it is the first") };
    store.abandon(first, &note).await.unwrap();
    assert!(matches!(store.begin(first).await, Ok(Begun::First(_))));
    store.abandon(first, &note).await.unwrap();
    assert_eq!(store.begin(first).await, Ok(Begun::Running), "it is another's by now");
    clock.advance(Duration::from_secs(61));
    assert!(
        matches!(store.begin(first).await, Ok(Begun::First(_))),
        "a server that died holds it no longer than a minute"
    );
    store.finish(first, &answer()).await.unwrap();
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(store.begin(first).await, Ok(Begun::Answered(answer())));
    clock.advance(Duration::from_secs(2));
    assert!(matches!(store.begin(first).await, Ok(Begun::First(_))));
}
