use super::super::wire::{World, a_minute, check};
use super::*;
use std::sync::atomic::Ordering::SeqCst;

/// How many of so many checks are allowed, and whether all of them were approximate.
async fn allowed(limits: &Guarded, check: &Check, times: usize) -> (usize, bool) {
    let (mut count, mut approximate) = (0, true);
    for _ in 0..times {
        match limits.check(std::slice::from_ref(check)).await.unwrap() {
            Told::Exact(Checked::Decided(all)) => (count, approximate) = (count + usize::from(all[0].allowed), false),
            Told::Approximate(Checked::Decided(all)) => count += usize::from(all[0].allowed),
            other => panic!("{other:?}"),
        }
    }
    (count, approximate)
}

fn counted(guard: &Guard, limit: &str, outcome: &str) -> u64 {
    let mut metrics = Metrics::default();
    guard.register(&mut metrics);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics).unwrap();
    let line = format!("agentapi_rate_limit_checks_total{{limit=\"{limit}\",outcome=\"{outcome}\"}} ");
    let found = text.lines().find_map(|found| found.strip_prefix(line.as_str()));
    found.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn while_the_backend_answers_its_answers_are_exact() {
    let world = World::new();
    let guard = world.instance(Fail::Open);
    let limits = world.over(&guard, "acme");
    assert_eq!(allowed(&limits, &check("k", a_minute(3, 1), 1), 4).await, (4, false));
    assert!(!limits.degraded().load(Relaxed) && guard.memory().is_empty());
    assert_eq!(allowed(&limits, &check("k", a_minute(3, 1), 1), 1).await, (0, false));
    assert_eq!((counted(&guard, "named", "allowed"), counted(&guard, "named", "denied")), (4, 1));
    assert_eq!(counted(&guard, "requests", "allowed"), 0);
}

#[tokio::test]
async fn failing_open_each_process_allows_up_to_the_limit_and_says_so() {
    let world = World::new();
    let guards = [world.instance(Fail::Open), world.instance(Fail::Open)];
    world.wire.cut.store(true, SeqCst);
    for algorithm in Algorithm::ALL {
        let quota = Quota::new(5, 0, Duration::from_secs(60), *algorithm).unwrap();
        for guard in &guards {
            let (limits, check) = (world.over(guard, "acme"), check(algorithm.as_str(), quota, 1));
            assert!(matches!(limits.peek(&check).await, Ok(Told::Approximate(decision)) if decision.current == 0));
            assert_eq!(allowed(&limits, &check, 20).await, (5, true), "{algorithm:?}");
            assert!(limits.degraded().load(Relaxed));
            assert!(matches!(limits.peek(&check).await, Ok(Told::Approximate(decision)) if decision.current == 5));
            assert_eq!(allowed(&world.over(guard, "other"), &check, 1).await, (1, true), "another tenant");
        }
    }
    assert_eq!(counted(&guards[0], "named", "approximately_allowed"), 4 * 6);
    assert_eq!(counted(&guards[0], "named", "approximately_denied"), 4 * 15);
    world.wire.cut.store(false, SeqCst);
    assert_eq!(allowed(&world.over(&guards[0], "acme"), &check("back", a_minute(5, 0), 1), 6).await, (5, false));
}

#[tokio::test]
async fn failing_closed_nothing_is_allowed() {
    let world = World::new();
    let guard = world.instance(Fail::Closed);
    let (limits, check) = (world.over(&guard, "acme"), check("k", a_minute(3, 1), 1));
    world.wire.cut.store(true, SeqCst);
    assert_eq!(limits.check(std::slice::from_ref(&check)).await, Ok(Told::Closed));
    assert_eq!(limits.peek(&check).await, Ok(Told::Closed));
    assert!(limits.degraded().load(Relaxed) && guard.memory().is_empty());
    assert_eq!(counted(&guard, "named", "closed"), 1);
}

#[tokio::test]
async fn in_an_outage_the_backend_is_not_even_asked() {
    let (world, outage) = (World::new(), Outage::default());
    outage.set(true);
    let guard = world.instance_in(Fail::Open, outage.clone());
    let check = check("k", a_minute(3, 1), 1);
    assert_eq!(allowed(&world.over(&guard, "acme"), &check, 10).await, (4, true));
    assert_eq!(world.wire.asked(), 0);
    outage.set(false);
    assert_eq!(allowed(&world.over(&guard, "acme"), &check, 1).await, (1, false));
}

#[tokio::test]
async fn what_would_lose_or_invent_data_fails_in_an_outage() {
    let world = World::new();
    let limits = world.over(&world.instance(Fail::Open), "acme");
    world.wire.cut.store(true, SeqCst);
    let (check, id) = (check("k", a_minute(3, 1), 1), Name::parse("rsv_00abcdefghijklmnopqrstuv").unwrap());
    assert!(limits.reset(&check.subject).await.is_err());
    assert!(limits.reserve(&check, Duration::from_secs(1)).await.is_err());
    assert!(limits.settle(&id, Settlement::Cancel).await.is_err());
}

#[tokio::test]
async fn several_checks_are_all_or_nothing_here_too() {
    let world = World::new();
    let limits = world.over(&world.instance(Fail::Open), "acme");
    world.wire.cut.store(true, SeqCst);
    let checks = [check("a", a_minute(2, 0), 1), check("b", a_minute(1, 0), 1)];
    for expected in [[true, true], [true, false], [true, false]] {
        let Ok(Told::Approximate(Checked::Decided(all))) = limits.check(&checks).await else { panic!() };
        assert_eq!([all[0].allowed, all[1].allowed], expected);
    }
}

#[tokio::test]
async fn names_that_are_made_up_without_end_fill_no_memory_and_free_nobody_who_is_known() {
    let world = World::new();
    let mut guard = Guard::new(Fail::Open, Outage::default(), Arc::new(world.clock.clone()));
    guard.most_keys = 100;
    let guard = Arc::new(guard);
    world.wire.cut.store(true, SeqCst);
    let (limits, quota) = (world.over(&guard, "acme"), a_minute(3, 0));
    assert_eq!(allowed(&limits, &check("known", quota, 1), 1).await, (1, true));
    for n in 0..1000 {
        let log = Quota::new(3, 0, Duration::from_secs(60), Algorithm::SlidingLog).unwrap();
        assert_eq!(allowed(&limits, &check(&format!("k{n}"), log, 1), 1).await, (1, true));
    }
    assert!(guard.memory().len() <= 100, "{} keys", guard.memory().len());
    assert_eq!(allowed(&limits, &check("unknown", quota, 1), 9).await, (9, true), "not counted any more");
    assert_eq!(allowed(&limits, &check("known", quota, 1), 9).await, (2, true));
    let both = [check("unknown", quota, 1), check("known", quota, 1)];
    let Ok(Told::Approximate(Checked::Decided(all))) = limits.check(&both).await else { panic!() };
    assert_eq!([all[0].allowed, all[1].allowed], [true, false]);
    // What has ended makes room.
    world.pass(200_000);
    assert_eq!(allowed(&limits, &check("unknown", quota, 1), 9).await, (3, true));
}

#[tokio::test]
async fn whoever_is_denied_again_and_again_is_told_so_without_the_backend() {
    let world = World::new();
    let guard = world.instance(Fail::Open);
    let (limits, check) = (world.over(&guard, "acme"), check("k", a_minute(1, 0), 1));
    assert_eq!(allowed(&limits, &check, 3).await, (1, false));
    world.wire.asked();
    assert_eq!(allowed(&limits, &check, 50).await, (0, false));
    assert_eq!(world.wire.asked(), 0);
    assert_eq!(counted(&guard, "named", "blocked_locally"), 50);
    assert_eq!(limits.reset(&check.subject).await, Ok(true));
    assert_eq!(allowed(&limits, &check, 1).await, (1, false), "a reset is seen at once");
}
