//! What a worker remembers counts no longer than what all remember.

use super::*;
use crate::base::deadline::Deadline;
use crate::tenancy::{Credential, RecentKeys};

/// A worker of a server.
fn worker(registry: &Registry) -> RecentKeys {
    RecentKeys::of(Arc::new(registry.clone()))
}

/// Whether it remembers the key now.
fn remembers(worker: &RecentKeys, secret: &Secret) -> bool {
    let (epoch, now) = worker.registry().freshness.look_at_once().unwrap();
    worker.find(&PresentedKey::parse(secret.expose()).unwrap(), epoch, now).is_some()
}

async fn takes(worker: &RecentKeys, presented: &str) -> bool {
    let may = || Ok::<(), Error>(());
    worker.verify_if(Credential::Key(presented), Deadline::NONE, may).await.unwrap().is_some()
}

#[tokio::test]
async fn a_key_is_found_by_each_worker_and_counted_as_found_without_asking_anybody() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    let workers = [worker(&registry), worker(&registry)];
    assert!(takes(&workers[0], secret.expose()).await);
    settle().await;
    world.wire.said();
    let before = registry.lookups().hits();
    for worker in &workers {
        for _ in 0..3 {
            assert!(takes(worker, secret.expose()).await);
        }
    }
    assert_eq!(world.wire.said(), [""; 0]);
    assert_eq!(registry.lookups().hits() - before, 6);
}

#[tokio::test]
async fn what_is_no_key_or_has_another_secret_is_not_taken_for_one_that_is_remembered() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    let worker = worker(&registry);
    assert!(takes(&worker, secret.expose()).await && takes(&worker, secret.expose()).await);
    assert!(remembers(&worker, &secret), "else this test shows nothing");
    let id = &secret.expose()[..20];
    let text = format!("{id}{}", secret_part(&made_up_key()));
    let checksum: String = crate::base::id::checksum(&text).iter().collect();
    let other_secret = format!("{text}{checksum}");
    assert_eq!(PresentedKey::parse(&other_secret).unwrap().id(), PresentedKey::parse(secret.expose()).unwrap().id());
    for wrong in [&*other_secret, "", &secret.expose()[..68], made_up_key().expose()] {
        assert!(!takes(&worker, wrong).await, "{wrong}");
    }
    assert!(takes(&worker, secret.expose()).await, "which changes nothing for the right one");
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_each_worker_here_at_once_and_elsewhere_within_a_second() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    for started in [0, 399, 400, 899, 900, 999] {
        let (key, secret) = match started {
            0 => acme(&here).await,
            _ => here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap(),
        };
        let (near, far) = ([worker(&here), worker(&here)], worker(&there));
        world.pass(5_000);
        for worker in [&near[0], &near[1], &far] {
            assert!(takes(worker, secret.expose()).await && takes(worker, secret.expose()).await);
        }
        world.pass(started);
        assert!(here.revoke_key(&id("acme"), key.id).await.unwrap());
        assert!(!takes(&near[0], secret.expose()).await && !takes(&near[1], secret.expose()).await);
        let mut last_accepted = 0;
        for millis in 0..1_500 {
            if takes(&far, secret.expose()).await {
                last_accepted = millis;
            }
            settle().await;
            world.pass(1);
        }
        assert!(last_accepted < 1_000, "accepted {last_accepted} ms after, revoked {started} ms after a look");
    }
}

#[tokio::test]
async fn what_was_loaded_while_something_changed_is_not_kept_beyond_the_change() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    let worker = worker(&there);
    assert!(!takes(&worker, made_up_key().expose()).await, "so that it has looked");
    let hold = world.wire.hold("api-key:");
    let mut first = Box::pin(takes(&worker, secret.expose()));
    tokio::select! {
        _ = &mut first => panic!("it is held"),
        () = hold.arrived() => {}
    }
    // The key was read, and is revoked before the answer is there.
    assert!(here.revoke_key(&id("acme"), key.id).await.unwrap());
    world.pass(950);
    assert!(!takes(&worker, made_up_key().expose()).await, "which looks again");
    hold.release();
    first.await;
    assert!(!takes(&worker, secret.expose()).await);
}

/// Uses the key as often as its worker never forgets it, until then: how often it was remembered.
async fn use_until(world: &World, worker: &RecentKeys, secret: &Secret, end: Timestamp) -> usize {
    let mut remembered = 0;
    while world.clock.now() < end {
        assert!(takes(worker, secret.expose()).await, "at {}", world.clock.now());
        remembered += usize::from(remembers(worker, secret));
        settle().await;
        world.pass(300);
    }
    remembered
}

#[tokio::test]
async fn a_key_is_refused_from_its_end_on_whatever_the_hour() {
    // It is 08:20, and an hour ends at 09:00.
    for (minutes, is_remembered) in [(30, false), (90, false), (170, true)] {
        let world = World::new();
        let registry = world.server();
        tenant(&registry, "acme").await;
        let start = world.clock.now();
        let end = start + Duration::from_secs(minutes * 60);
        let new = NewKey { expires_at: Some(end), ..plain_key() };
        let (_, secret) = registry.create_key(&id("acme"), new).await.unwrap().unwrap();
        let worker = worker(&registry);
        let remembered = use_until(&world, &worker, &secret, start + Duration::from_secs(10)).await;
        assert_eq!(remembered > 0, is_remembered, "{minutes}");
        assert!(remembers(&worker, &secret) == is_remembered, "{minutes}");
        world.pass((minutes - 1) * 60_000);
        use_until(&world, &worker, &secret, end).await;
        assert!(!takes(&worker, secret.expose()).await, "{minutes}");
    }
}

#[tokio::test]
async fn the_last_use_is_written_in_every_hour_though_a_worker_remembers_the_key() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    let worker = worker(&registry);
    world.pass(39 * 60_000);
    world.wire.said();
    let stamps = || world.wire.said().iter().filter(|line| line.contains("api-key-used")).count();
    let hour = Timestamp::parse_rfc3339("2026-01-31T09:00:00Z").unwrap();
    assert!(use_until(&world, &worker, &secret, hour).await > 150, "else this test shows nothing");
    assert_eq!(stamps(), 1);
    assert!(use_until(&world, &worker, &secret, hour + Duration::from_secs(60)).await > 150);
    assert_eq!(stamps(), 1, "in the next hour");
}
