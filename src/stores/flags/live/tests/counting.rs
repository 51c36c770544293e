//! What was counted is added once, whatever happens meanwhile.

use super::*;

/// Evaluates the flag so often.
fn give(current: &Current, times: usize) {
    for _ in 0..times {
        let variant = current.compiled().rules.flag("f").unwrap().variants().first();
        current.compiled().given(0, &Decision { variant, reason: Reason::Static });
    }
}

#[tokio::test]
async fn what_is_counted_while_counts_are_added_is_added_the_next_time() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    let before = live.current(&acme, Deadline::NONE).await.unwrap();
    give(&before, 2);
    let (held, go_on) = world.hold(counts);
    let flushing = tokio::spawn({
        let live = live.clone();
        async move { live.flush().await }
    });
    held.notified().await;
    // Whoever was evaluating the version before is done with it only now.
    give(&before, 3);
    world.put(&live, &acme, 2).await;
    drop(before);
    go_on.notify_one();
    flushing.await.unwrap();
    assert_eq!(world.counted(&live, &acme).await, 2);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 5);
    live.flush().await;
    assert_eq!(live.pending.len(), 1, "and is not kept for ever");
}

#[tokio::test]
async fn versions_that_nobody_evaluated_are_not_kept_to_be_counted() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 0).await;
    for value in 1..=50 {
        let current = live.current(&acme, Deadline::NONE).await.unwrap();
        give(&current, usize::from(value % 10 == 0));
        drop(current);
        world.put(&live, &acme, value).await;
    }
    assert_eq!(live.pending.len(), 6, "five that were evaluated, and the last");
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 5);
}

#[tokio::test]
async fn what_is_counted_in_an_outage_is_added_after_it() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 3);
    world.outage.set(true);
    world.backend.is_away.store(true, Ordering::SeqCst);
    live.flush().await;
    world.backend.is_away.store(false, Ordering::SeqCst);
    world.outage.set(false);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 3);
}

#[tokio::test]
async fn what_a_deleted_tenant_counted_is_not_told_to_the_next_of_its_id() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 3);
    let db = world.database.tenant(&acme);
    db.run(Command::del(&keys::flagset(&db))).await.unwrap().int().unwrap();
    live.forget(&acme);
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 1);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 1);
}
