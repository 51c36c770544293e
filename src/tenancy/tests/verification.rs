//! Whose key it is.

use super::*;
use crate::base::deadline::Deadline;

#[tokio::test]
async fn a_key_is_its_tenants_and_comes_with_its_scopes() {
    let world = World::new();
    let registry = world.server();
    tenant(&registry, "acme").await;
    let scopes = Scopes::parse(["sessions:read"]).unwrap();
    let new = NewKey { name: Some(Label::parse("ci").unwrap()), scopes, expires_at: None };
    let (key, secret) = registry.create_key(&id("acme"), new).await.unwrap().unwrap();
    let known = identity(&registry, &secret).await.unwrap();
    assert_eq!((&*known.key, known.tenant.id.as_str()), (&key, "acme"));
    assert_eq!(known.key.scopes, scopes);
}

#[tokio::test]
async fn a_hot_key_costs_no_call_to_the_backend() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.wire.said();
    for _ in 0..399 {
        assert!(knows(&registry, &secret).await);
        world.pass(1);
    }
    settle().await;
    assert_eq!(world.wire.said(), [""; 0]);
}

#[tokio::test]
async fn a_tenant_that_is_known_is_not_asked_for_again() {
    let world = World::new();
    let registry = world.server();
    let (_, first) = acme(&registry).await;
    let (_, second) = registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    assert!(knows(&registry, &first).await);
    settle().await;
    world.wire.said();
    assert!(registry.tenant(&id("acme"), Deadline::NONE).await.unwrap().is_some());
    assert_eq!(world.wire.said(), [""; 0]);
    assert!(knows(&registry, &second).await);
    assert_eq!(world.wire.said().len(), 1, "the key alone");
}

#[tokio::test]
async fn a_malformed_key_costs_no_call_even_on_a_cold_server() {
    let world = World::new();
    let registry = world.server();
    let mut wrong = made_up_key().expose().to_owned();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { '1' } else { '0' });
    for text in ["", "agk_", "Bearer x", wrong.as_str(), &"agk_".repeat(1000), "agk_é"] {
        assert!(matches!(registry.verify(text, Deadline::NONE).await, Ok(Verification::Unknown)), "{text}");
    }
    assert_eq!(world.wire.said(), [""; 0]);
}

#[tokio::test]
async fn a_key_with_the_right_id_and_a_wrong_secret_is_unknown() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    let other = made_up_key();
    let body = format!("agk_{}{}", key.id, secret_part(&other));
    let forged = format!("{body}{}", crate::base::id::checksum(&body).iter().collect::<String>());
    assert!(PresentedKey::parse(&forged).is_some(), "it is well-formed");
    for _ in 0..2 {
        assert!(!knows(&registry, &Secret::new(forged.clone())).await);
        assert!(knows(&registry, &secret).await);
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_while_nothing_changes() {
    let world = World::new();
    let registry = world.server();
    let nobodys = made_up_key();
    assert!(!knows(&registry, &nobodys).await);
    assert_eq!(world.wire.said().len(), 2, "one look at the changes, one for the key");
    for _ in 0..100 {
        assert!(!knows(&registry, &nobodys).await);
    }
    assert_eq!(world.wire.said(), [""; 0]);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_neither_grows_without_end_nor_pushes_out_one_in_use() {
    let world = World::new();
    let settings = RegistrySettings { keys: 100, unknown_keys: 100, loads: 8 };
    let registry = world.server_with(settings);
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    for _ in 0..2_000 {
        assert!(!knows(&registry, &made_up_key()).await);
    }
    let (keys, unknown) = registry.remembered.sizes();
    assert!(keys == 1 && unknown <= 128, "{keys} {unknown}");
    settle().await;
    world.wire.said();
    assert!(knows(&registry, &secret).await);
    assert_eq!(world.wire.said(), [""; 0], "it is still remembered");
}

#[tokio::test]
async fn loads_from_the_backend_are_bounded() {
    let world = World::new();
    let registry = world.server_with(RegistrySettings { loads: 1, ..RegistrySettings::default() });
    assert!(!knows(&registry, &made_up_key()).await);
    let (first, second) = (registry.clone(), registry.clone());
    let hold = world.wire.hold("api-key:");
    let first = tokio::spawn(async move { knows(&first, &made_up_key()).await });
    hold.arrived().await;
    world.wire.said();
    let second = tokio::spawn(async move { knows(&second, &made_up_key()).await });
    settle().await;
    assert_eq!(world.wire.said(), [""; 0], "the second waits for the first");
    hold.release();
    assert!(!first.await.unwrap() && !second.await.unwrap());
}

#[tokio::test]
async fn an_expired_key_is_refused_from_its_moment_on_though_it_is_remembered() {
    let world = World::new();
    let registry = world.server();
    tenant(&registry, "acme").await;
    let end = world.clock.now() + Duration::from_millis(300);
    let new = NewKey { expires_at: Some(end), ..plain_key() };
    let (_, secret) = registry.create_key(&id("acme"), new).await.unwrap().unwrap();
    world.pass(299);
    assert!(knows(&registry, &secret).await);
    world.pass(1);
    assert!(!knows(&registry, &secret).await);
}

#[tokio::test]
async fn expiry_is_judged_by_the_backends_clock() {
    let world = World::new();
    let registry = world.server();
    tenant(&registry, "acme").await;
    let new = NewKey { expires_at: Some(world.clock.now() + Duration::from_secs(60)), ..plain_key() };
    let (_, secret) = registry.create_key(&id("acme"), new).await.unwrap().unwrap();
    let fast = ManualClock::at(world.clock.now() + Duration::from_secs(3600));
    let database = world.database(&fast);
    let other = Registry::new(database.system(), Arc::new(fast), RegistrySettings::default());
    assert!(!knows(&other, &secret).await, "an hour ahead, and nobody told it");
    database.probe(Deadline::NONE).await.unwrap();
    assert!(knows(&other, &secret).await);
}

#[tokio::test]
async fn a_suspended_tenant_is_seen_as_suspended_within_a_second_and_its_keys_stay_known() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (_, secret) = acme(&here).await;
    assert_eq!(identity(&there, &secret).await.unwrap().tenant.status, Status::Active);
    assert_eq!(there.tenant(&id("acme"), Deadline::NONE).await.unwrap().unwrap().status, Status::Active);
    let change = TenantChange { status: Some(Status::Suspended), ..TenantChange::default() };
    here.update_tenant(&id("acme"), |_| true, change).await.unwrap();
    assert_eq!(identity(&here, &secret).await.unwrap().tenant.status, Status::Suspended, "here at once");
    world.pass(1_000);
    assert_eq!(identity(&there, &secret).await.unwrap().tenant.status, Status::Suspended);
    assert_eq!(there.tenant(&id("acme"), Deadline::NONE).await.unwrap().unwrap().status, Status::Suspended);
    assert!(there.tenant(&id("nobody"), Deadline::NONE).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_that_was_remembered_as_unknown_works_within_a_second_of_any_change() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    tenant(&here, "acme").await;
    let (key, secret) = here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    // As if the other server had been asked for it before it was made.
    there.remembered.keep_key(key.id, there.freshness.epoch(Deadline::NONE).await.unwrap(), None);
    assert!(!knows(&there, &secret).await, "it is remembered as unknown");
    here.create_key(&id("acme"), plain_key()).await.unwrap();
    world.pass(1_000);
    assert!(knows(&there, &secret).await);
}
