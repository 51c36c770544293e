use super::super::guard::Guard;
use super::super::settings::Fail;
use super::super::wire::{World, a_minute};
use super::*;
use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

/// One server.
struct Instance {
    guard: Arc<Guard>,
    slices: Slices,
}

impl Instance {
    fn of(world: &World) -> Instance {
        Instance { guard: world.instance(Fail::Open), slices: Slices::new(Arc::new(world.clock.clone())) }
    }

    async fn ask(&self, world: &World, quota: Quota) -> Grant {
        match self.slices.at_once(key(), (quota.limit(), quota.burst())) {
            Some(standing) => Grant::Allowed(standing),
            None => self.slices.take(key(), quota, &world.over(&self.guard, "acme")).await.unwrap(),
        }
    }

    async fn is_allowed(&self, world: &World, quota: Quota) -> bool {
        matches!(self.ask(world, quota).await, Grant::Allowed(_))
    }
}

fn key() -> KeyId {
    KeyId::parse("0123456789abcdef").unwrap()
}

/// What the backend has counted.
async fn counted(world: &World, instance: &Instance, quota: Quota) -> u64 {
    let check = Check { subject: Subject::Requests(key()), quota, cost: 1, shadow: true };
    match world.over(&instance.guard, "acme").peek(&check).await {
        Ok(Told::Exact(decision)) => decision.current,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_request_leaves_one_less_than_the_limit_for_a_minute() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60, 10));
    let minute = Duration::from_secs(60);
    assert_eq!(one.ask(&world, quota).await, Grant::Allowed(Standing { limit: 60, remaining: 59, reset: minute }));
    for remaining in (0..59).rev().chain([0; 10]) {
        assert_eq!(one.ask(&world, quota).await, Grant::Allowed(Standing { limit: 60, remaining, reset: minute }));
    }
    let Grant::Denied(standing, retry_after) = one.ask(&world, quota).await else { panic!("it is allowed") };
    assert_eq!(standing, Standing { limit: 60, remaining: 0, reset: minute });
    assert!(retry_after > minute && retry_after < 2 * minute, "{retry_after:?}");
}

#[tokio::test]
async fn whoever_asks_often_costs_the_backend_little() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(600_000, 0));
    for _ in 0..10_000 {
        assert!(one.is_allowed(&world, quota).await);
        world.clock.advance(Duration::from_micros(100));
    }
    let asked = world.wire.asked();
    assert!(asked < 20, "the backend was asked {asked} times for 10000 requests in a second");
}

#[tokio::test]
async fn whoever_asks_now_and_then_takes_no_more_than_he_needs() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60_000, 0));
    for _ in 0..20 {
        assert!(one.is_allowed(&world, quota).await);
        world.pass(1_500);
    }
    assert_eq!(counted(&world, &one, quota).await, 20);
}

#[tokio::test]
async fn a_slice_that_is_not_used_in_time_lapses_and_the_next_is_small() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60_000, 0));
    let under = (quota.limit(), quota.burst());
    for _ in 0..40 {
        assert!(one.is_allowed(&world, quota).await);
    }
    assert_eq!(counted(&world, &one, quota).await, 1 + 2 + 4 + 8 + 16 + 32);
    world.pass(999);
    assert!(one.slices.at_once(key(), under).is_some());
    world.pass(1);
    assert_eq!(one.slices.at_once(key(), under), None);
    assert!(one.is_allowed(&world, quota).await);
    assert_eq!(counted(&world, &one, quota).await, 64);
}

#[tokio::test]
async fn slices_shrink_near_the_limit_so_that_nearly_all_of_it_is_used() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(1_000, 0));
    let under = (quota.limit(), quota.burst());
    let (mut admitted, mut before) = (0, 0);
    while one.is_allowed(&world, quota).await {
        admitted += 1;
        let now = counted(&world, &one, quota).await;
        assert!(now - before <= ((1_000 - before) / 8).max(1), "{before} to {now}");
        before = now;
    }
    assert_eq!((admitted, one.slices.at_once(key(), under)), (1_000, None));
}

/// Two requests each two seconds, three each three, and so on, for five minutes.
#[tokio::test]
async fn who_comes_in_bursts_at_the_pace_of_the_limit_gets_all_of_it() {
    for (limit, burst, at_a_time) in
        [(60, 10, 1), (60, 10, 2), (60, 10, 4), (60, 10, 8), (600, 100, 10), (600, 100, 16), (6_000, 200, 130)]
    {
        let world = World::new();
        let (one, quota) = (Instance::of(&world), a_minute(limit, burst));
        let gap = 60_000 * at_a_time / limit;
        for n in 0..300_000 / gap {
            for _ in 0..at_a_time {
                assert!(one.is_allowed(&world, quota).await, "{limit} a minute, burst {n} of {at_a_time}");
            }
            world.pass(gap);
        }
    }
}

#[tokio::test]
async fn a_changed_limit_is_in_force_at_once() {
    let world = World::new();
    let (one, wide, tight) = (Instance::of(&world), a_minute(10_000, 0), a_minute(50, 0));
    for _ in 0..40 {
        assert!(one.is_allowed(&world, wide).await);
    }
    assert!(one.slices.at_once(key(), (50, 0)).is_none(), "the rest of the slice was taken under another limit");
    assert!(!one.is_allowed(&world, tight).await, "63 were counted");
    assert!(one.is_allowed(&world, wide).await);
}

#[tokio::test]
async fn requests_that_come_at_once_share_questions() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60_000, 0));
    let all = join_all((0..64).map(|_| one.is_allowed(&world, quota))).await;
    assert!(all.into_iter().all(|allowed| allowed));
    let asked = world.wire.asked();
    assert!(asked <= 4, "the backend was asked {asked} times");
}

#[tokio::test]
async fn of_requests_that_come_at_once_on_two_servers_exactly_the_limit_passes() {
    for (limit, burst) in [(60, 10), (1, 0), (30, 0), (100, 27)] {
        let world = World::new();
        let (instances, quota) = ([Instance::of(&world), Instance::of(&world)], a_minute(limit, burst));
        let all = join_all((0..256).map(|n| instances[n % 2].is_allowed(&world, quota))).await;
        let admitted = all.into_iter().filter(|allowed| *allowed).count() as u64;
        assert_eq!(admitted, limit + burst);
    }
}

#[tokio::test]
async fn whoever_leaves_while_it_waits_holds_nobody_up() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60, 0));
    for _ in 0..3 {
        assert!(one.is_allowed(&world, quota).now_or_never().is_none(), "it waits for the wire");
    }
    assert!(one.is_allowed(&world, quota).await);
    let slice = one.slices.slices.get(&key()).unwrap();
    assert_eq!(slice.waiting.load(SeqCst), 0);
}

#[tokio::test]
async fn without_the_backend_each_server_goes_on_for_itself_or_none_does() {
    let world = World::new();
    let (one, quota) = (Instance::of(&world), a_minute(60, 10));
    world.wire.cut.store(true, SeqCst);
    let mut admitted = 0;
    while one.is_allowed(&world, quota).await {
        admitted += 1;
    }
    assert_eq!(admitted, 70);
    let closed = Instance { guard: world.instance(Fail::Closed), ..Instance::of(&world) };
    assert_eq!(closed.ask(&world, quota).await, Grant::Closed);
}

#[tokio::test]
async fn the_memory_of_keys_is_bounded() {
    let world = World::new();
    let slices = Slices::of(100, Arc::new(world.clock.clone()));
    let (one, quota) = (Instance { slices, ..Instance::of(&world) }, a_minute(60, 10));
    for n in 0..300 {
        let key = KeyId::parse(&format!("{n:016}")).unwrap();
        one.slices.take(key, quota, &world.over(&one.guard, "acme")).await.unwrap();
    }
    assert!(one.slices.slices.len() <= 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A minute of two servers that share a backend: some requests at a time on one of them, then a pause.
    #[test]
    fn no_schedule_lets_more_through_than_was_counted_or_is_allowed(
        limit in 1_u64..300,
        burst in 0_u64..50,
        schedule in prop::collection::vec((0_usize..2, 1_usize..40, 0_u64..1_500), 1..38),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let admitted: u64 = runtime.block_on(async {
            let world = World::new();
            let (instances, quota) = ([Instance::of(&world), Instance::of(&world)], a_minute(limit, burst));
            let mut admitted = 0;
            for (server, requests, pause) in schedule {
                let all = join_all((0..requests).map(|_| instances[server].is_allowed(&world, quota))).await;
                admitted += all.into_iter().filter(|allowed| *allowed).count() as u64;
                let counted = counted(&world, &instances[0], quota).await;
                assert!(admitted <= counted, "{admitted} admitted, {counted} counted");
                world.pass(pause);
            }
            admitted
        });
        prop_assert!(admitted <= limit + burst);
    }

    /// Whoever goes on asking gets nearly all of the limit: what lapses are parts of what was left.
    #[test]
    fn two_servers_that_are_asked_all_the_time_let_nearly_all_through(
        limit in 50_u64..500,
        schedule in prop::collection::vec((0_usize..2, 0_u64..120), 450),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let admitted: u64 = runtime.block_on(async {
            let world = World::new();
            let (instances, quota) = ([Instance::of(&world), Instance::of(&world)], a_minute(limit, 0));
            let mut admitted = 0;
            for (server, pause) in schedule {
                admitted += u64::from(instances[server].is_allowed(&world, quota).await);
                world.pass(pause);
            }
            admitted
        });
        prop_assert!(admitted <= limit);
        prop_assert!(admitted >= limit - limit / 10, "{} of {}", admitted, limit);
    }
}
