//! What a worker remembers is never older than what all workers know.

use super::*;

/// What the flag is for this worker.
async fn seen(worker: &RecentFlags, tenant: &TenantId) -> (Value, bool) {
    let current = worker.current(tenant, Deadline::NONE).await.unwrap();
    let flag = current.compiled().rules.flag("f");
    (flag.map_or(Value::Null, |flag| flag.variants()[0].value().clone()), current.is_stale)
}

/// A worker that remembers the flags, of this value: it was asked before and after it kept them.
async fn worker_that_knows(live: &Arc<Live>, tenant: &TenantId, value: i64) -> RecentFlags {
    let worker = RecentFlags::of(live.clone());
    for _ in 0..3 {
        assert_eq!(seen(&worker, tenant).await, (json!(value), false));
    }
    let changes = live.changes.load(Ordering::SeqCst);
    assert!(worker.find(tenant, changes).is_some(), "else this test shows nothing");
    worker
}

#[tokio::test]
async fn each_worker_counts_what_it_finds() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    let workers = [worker_that_knows(&live, &acme, 1).await, worker_that_knows(&live, &acme, 1).await];
    let before = live.lookups().hits();
    world.asked();
    for worker in &workers {
        for _ in 0..3 {
            assert_eq!(seen(worker, &acme).await, (json!(1), false));
        }
    }
    assert_eq!((live.lookups().hits() - before, world.asked()), (6, 0));
}

#[tokio::test]
async fn what_is_changed_here_is_seen_by_each_worker_at_once() {
    let world = world();
    let (live, acme, other) = (world.server(), tenant("acme"), tenant("other"));
    world.put(&live, &acme, 1).await;
    world.put(&live, &other, 1).await;
    let workers = [worker_that_knows(&live, &acme, 1).await, worker_that_knows(&live, &acme, 1).await];
    world.put(&live, &acme, 2).await;
    for worker in &workers {
        assert_eq!(seen(worker, &acme).await.0, json!(2));
        assert_eq!(seen(worker, &other).await.0, json!(1));
        assert_eq!(seen(worker, &acme).await.0, json!(2));
    }
}

#[tokio::test]
async fn what_is_changed_elsewhere_is_seen_after_a_look() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    let worker = worker_that_knows(&here, &acme, 1).await;
    world.put(&there, &acme, 2).await;
    world.clock.advance(WAIT_AFTER - Duration::from_millis(1));
    assert_eq!(seen(&worker, &acme).await.0, json!(1), "as young as that");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(seen(&worker, &acme).await.0, json!(2));
}

#[tokio::test]
async fn what_was_forgotten_is_asked_for_again() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    let worker = worker_that_knows(&live, &acme, 1).await;
    let db = world.database.tenant(&acme);
    db.run(Command::del(&keys::flagset(&db))).await.unwrap().int().unwrap();
    assert_eq!(seen(&worker, &acme).await.0, json!(1), "nobody was told");
    live.forget(&acme);
    assert_eq!(seen(&worker, &acme).await.0, Value::Null);
}

#[tokio::test]
async fn the_last_known_goes_on_in_an_outage_and_is_called_stale_as_without_a_worker() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    let worker = worker_that_knows(&live, &acme, 1).await;
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.outage.set(true);
    for (seconds, is_stale) in [(29, false), (1, true), (3600, true)] {
        world.clock.advance(Duration::from_secs(seconds));
        assert_eq!(seen(&worker, &acme).await, (json!(1), is_stale));
    }
}

#[tokio::test]
async fn tenants_that_share_a_place_do_not_share_flags() {
    let world = world();
    let live = world.server();
    let tenants: Vec<TenantId> = (0..200).map(|n| tenant(&format!("t{n}"))).collect();
    for (value, id) in (0..).zip(&tenants) {
        world.put(&live, id, value).await;
    }
    let worker = RecentFlags::of(live.clone());
    for _ in 0..2 {
        for (value, id) in (0_i64..).zip(&tenants) {
            assert_eq!(seen(&worker, id).await.0, json!(value));
        }
    }
}
