use super::super::wire::{World, a_minute, check};
use super::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

async fn ask(together: &Together, world: &World, check: &Check) -> Result<Decision, Error> {
    together.check(&tenant(), check, &world.limits("acme")).await.map(|checked| decided(&checked).unwrap())
}

fn sorted(decisions: &[Result<Decision, Error>], allowed: bool) -> Vec<u64> {
    let mut currents: Vec<u64> =
        decisions.iter().flatten().filter(|d| d.allowed == allowed).map(|d| d.current).collect();
    currents.sort_unstable();
    currents
}

#[tokio::test]
async fn many_who_ask_at_once_are_counted_each_and_asked_for_together() {
    let (world, together) = (World::new(), Together::new());
    let check = check("k", a_minute(1000, 0), 3);
    let decisions = join_all((0..64).map(|_| ask(&together, &world, &check))).await;
    assert_eq!(sorted(&decisions, true), (1..=64).map(|n| n * 3).collect::<Vec<_>>());
    assert_eq!(world.wire.asked(), 3, "one alone, one for itself, one for all others");
    assert_eq!(ask(&together, &world, &check).await.unwrap().current, 195, "nothing was counted twice");
}

#[tokio::test]
async fn as_many_as_fit_are_allowed_and_the_rest_hear_the_true_time() {
    for (limit, cost) in [(10, 1), (11, 3), (1, 1), (64, 1), (5, 5), (100, 2)] {
        let (world, together) = (World::new(), Together::new());
        let check = check("k", a_minute(limit, 0), cost);
        let decisions = join_all((0..64).map(|_| ask(&together, &world, &check))).await;
        let fit = (limit / cost).min(64);
        assert_eq!(sorted(&decisions, true), (1..=fit).map(|n| n * cost).collect::<Vec<_>>(), "{limit} {cost}");
        let alone = world.limits("acme").peek(&check).await.unwrap();
        for denied in decisions.iter().flatten().filter(|decision| !decision.allowed) {
            assert_eq!((denied.current, denied.retry_after), (fit * cost, alone.retry_after));
        }
        assert!(world.wire.asked() <= 8, "{limit} {cost}");
    }
}

#[tokio::test]
async fn who_leaves_before_it_is_asked_for_is_not_counted_and_keeps_nobody_waiting() {
    let (world, together) = (World::new(), Together::new());
    let check = check("k", a_minute(1000, 0), 1);
    let mut callers: Vec<_> = (0..8).map(|_| Box::pin(ask(&together, &world, &check))).collect();
    for caller in &mut callers {
        assert!(caller.now_or_never().is_none(), "it waits");
    }
    // The first asks alone and the second for itself; this one waits for it, and so do the others.
    drop(callers.remove(4));
    let second = callers.remove(1);
    drop(second);
    let decisions = tokio::time::timeout(Duration::from_secs(30), join_all(callers)).await.unwrap();
    assert_eq!(sorted(&decisions, true), [1, 2, 3, 4, 5, 6], "neither of those who left was asked for");
}

#[tokio::test]
async fn a_failure_is_told_to_all_at_once() {
    let (world, together) = (World::new(), Together::new());
    world.wire.cut.store(true, SeqCst);
    let check = check("k", a_minute(1000, 0), 1);
    let decisions = join_all((0..64).map(|_| ask(&together, &world, &check))).await;
    assert!(decisions.iter().all(|decision| matches!(decision, Err(Error::Backend(_)))));
    assert_eq!(world.wire.asked(), 3);
    world.wire.cut.store(false, SeqCst);
    assert_eq!(ask(&together, &world, &check).await.unwrap().current, 1, "nobody is in the way");
}

#[tokio::test]
async fn other_costs_keys_and_tenants_are_asked_for_by_themselves() {
    let (world, together) = (World::new(), Together::new());
    let checks = [check("k", a_minute(9, 0), 1), check("k", a_minute(9, 0), 2), check("l", a_minute(9, 0), 1)];
    let decisions = join_all(checks.iter().cycle().take(6).map(|check| ask(&together, &world, check))).await;
    assert_eq!(sorted(&decisions, true).last(), Some(&6));
    assert_eq!(world.limits("acme").peek(&checks[2]).await.unwrap().current, 2);
}
