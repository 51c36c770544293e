//! What happens while it is half open.

use super::*;

/// A breaker that was opened and whose time is over.
async fn tried_again(policy: Policy) -> Bench {
    let bench = Bench::with(policy);
    bench.fail(5).await;
    bench.heard();
    bench.pass(bench.read().await.next_change.unwrap().as_millis() - bench.clock_now());
    bench
}

impl Bench {
    fn clock_now(&self) -> u64 {
        crate::base::clock::Clock::now(&self.clock).as_millis()
    }
}

#[tokio::test]
async fn the_first_who_asks_is_the_probe_and_the_others_hear_until_when_it_may_take() {
    let bench = tried_again(Policy { permit_ttl: millis(700), ..policy() }).await;
    let first = bench.acquire().await;
    assert!(first.allowed && first.state == State::HalfOpen);
    bench.pass(100);
    let second = bench.acquire().await;
    assert_eq!(second, denied(State::HalfOpen, millis(600)));
    assert_eq!(bench.heard(), [(State::Open, State::HalfOpen)]);
    assert_eq!(bench.read().await.counters.probes, 1);
}

#[tokio::test]
async fn a_crashed_prober_gives_way_when_its_time_is_over() {
    let bench = tried_again(Policy { permit_ttl: millis(700), ..policy() }).await;
    let crashed = bench.permit().await;
    bench.pass(699);
    assert_eq!(bench.acquire().await.retry_after, millis(1));
    bench.pass(1);
    let next = bench.permit().await;
    assert_ne!(crashed, next);
    assert_eq!(bench.tell(with(&crashed, failure())).await, State::HalfOpen, "its permit is another's by now");
    assert_eq!(bench.tell(with(&next, success())).await, State::HalfOpen);
}

#[tokio::test]
async fn a_slow_probe_counts_as_long_as_its_permit_was_not_given_to_another() {
    let bench = tried_again(Policy { permit_ttl: millis(700), success_threshold: 1, ..policy() }).await;
    let slow = bench.permit().await;
    bench.pass(5_000);
    assert_eq!(bench.tell(with(&slow, success())).await, State::Closed);
}

#[tokio::test]
async fn two_successes_close_it_and_everything_begins_anew() {
    let bench = tried_again(policy()).await;
    let one = bench.permit().await;
    bench.tell(with(&one, success())).await;
    assert_eq!(bench.read().await.counters, Counters { successes: 1, times_opened: 1, ..Counters::default() });
    let two = bench.permit().await;
    assert_eq!(bench.tell(with(&two, success())).await, State::Closed);
    let closed = bench.read().await;
    assert_eq!((closed.counters, closed.next_change), (Counters::default(), None));
    assert_eq!(bench.heard(), [(State::Open, State::HalfOpen), (State::HalfOpen, State::Closed)]);
    assert_eq!(bench.fail(4).await, State::Closed);
}

#[tokio::test]
async fn a_probe_that_is_reported_twice_counts_once_and_is_one_call() {
    let bench = tried_again(policy()).await;
    let probe = bench.permit().await;
    for _ in 0..3 {
        let report = Report { count: 1000, ..with(&probe, success()) };
        assert_eq!(bench.tell(report).await, State::HalfOpen);
    }
    assert_eq!(bench.read().await.counters.successes, 1);
}

#[tokio::test]
async fn one_failure_opens_it_again_and_the_open_time_grows_to_its_longest() {
    let growing =
        Policy { timeout: millis(1000), timeout_multiplier_millis: 2500, timeout_max: millis(7000), ..policy() };
    let bench = Bench::with(growing);
    bench.fail(5).await;
    for (times, open) in [(1, 1000), (2, 2500), (3, 6250), (4, 7000), (5, 7000)] {
        let breaker = bench.read().await;
        assert_eq!(breaker.counters.times_opened, times);
        assert_eq!(bench.acquire().await.retry_after, millis(open));
        bench.pass(open);
        let probe = bench.permit().await;
        assert_eq!(bench.tell(with(&probe, failure())).await, State::Open);
    }
    bench.pass(7000);
    for _ in 0..2 {
        let probe = bench.permit().await;
        bench.tell(with(&probe, success())).await;
    }
    bench.fail(5).await;
    assert_eq!(bench.acquire().await.retry_after, millis(1000), "once closed, it begins with the first time again");
}

#[tokio::test]
async fn chance_makes_the_open_time_longer_and_never_shorter() {
    let bench = Bench::with(Policy { timeout: millis(10_000), timeout_jitter_millis: 500, ..policy() });
    let mut times = std::collections::BTreeSet::new();
    for n in 0..64 {
        let name = name(&format!("b{n}"));
        bench.breakers.report(&name, &Report { count: 5, ..failure() }).await.unwrap();
        times.insert(bench.breakers.acquire(&name, None).await.unwrap().retry_after);
    }
    let (shortest, longest) = (times.first().unwrap(), times.last().unwrap());
    assert!(*shortest >= millis(10_000) && *longest <= millis(15_000), "{times:?}");
    assert!(times.len() > 32 && *longest - *shortest > millis(1500), "{times:?}");
}

#[tokio::test]
async fn as_many_probes_as_the_settings_say_are_under_way() {
    let bench = tried_again(Policy { half_open_permits: 3, success_threshold: 3, ..policy() }).await;
    let permits = [bench.permit().await, bench.permit().await, bench.permit().await];
    assert!(!bench.acquire().await.allowed);
    bench.tell(with(&permits[1], success())).await;
    bench.permit().await;
    assert!(!bench.acquire().await.allowed);
    assert_eq!(bench.tell(with(&permits[0], failure())).await, State::Open);
    assert_eq!(bench.tell(with(&permits[2], success())).await, State::Open, "it asked an earlier state");
}

#[tokio::test]
async fn with_fewer_permits_than_were_given_the_time_to_ask_again_is_still_true() {
    let three = Policy { half_open_permits: 3, permit_ttl: millis(700), ..policy() };
    let bench = tried_again(three).await;
    for _ in 0..3 {
        bench.permit().await;
        bench.pass(100);
    }
    for (permits, wait) in [(3, 400), (2, 500), (1, 600)] {
        bench.configure(Policy { half_open_permits: permits, ..three }).await;
        let denied = bench.acquire().await;
        assert_eq!((denied.allowed, denied.retry_after), (false, millis(wait)), "{permits}");
    }
    bench.pass(599);
    assert_eq!(bench.acquire().await.retry_after, millis(1));
    bench.pass(1);
    assert!(bench.acquire().await.allowed);
}

#[tokio::test]
async fn who_asks_for_nothing_and_only_reports_closes_it_too() {
    let bench = tried_again(policy()).await;
    assert_eq!(bench.succeed().await, State::HalfOpen);
    assert_eq!(bench.tell(Report { count: 7, ..success() }).await, State::Closed);
    assert_eq!(bench.heard(), [(State::Open, State::HalfOpen), (State::HalfOpen, State::Closed)]);
    let bench = tried_again(policy()).await;
    assert_eq!(bench.fail(1).await, State::Open);
    assert_eq!(bench.heard(), [(State::Open, State::HalfOpen), (State::HalfOpen, State::Open)]);
    assert_eq!(bench.read().await.counters.times_opened, 2);
}

#[tokio::test]
async fn a_failed_probe_is_listed_under_the_instance_that_asked() {
    let bench = tried_again(policy()).await;
    let permit = bench.breakers.acquire(&b(), Some(&name("prober 7"))).await.unwrap().permit.unwrap();
    bench.tell(with(&permit, failure())).await;
    assert_eq!(bench.read().await.last_failures[0].instance, Some(name("prober 7")));
}
