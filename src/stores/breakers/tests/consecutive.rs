//! Failures in a row.

use super::*;

#[tokio::test]
async fn five_failures_in_a_row_open_it_and_four_do_not() {
    let bench = Bench::new();
    for _ in 0..4 {
        assert_eq!(bench.fail(1).await, State::Closed);
    }
    assert!(bench.acquire().await.allowed);
    assert_eq!(bench.fail(1).await, State::Open);
    assert_eq!(bench.heard(), [(State::Closed, State::Open)]);
    let asked = bench.acquire().await;
    assert_eq!(asked, denied(State::Open, millis(30_000)));
}

#[tokio::test]
async fn a_success_ends_the_row() {
    let bench = Bench::new();
    bench.fail(4).await;
    assert_eq!(bench.succeed().await, State::Closed);
    assert_eq!(bench.fail(4).await, State::Closed);
    assert_eq!(bench.read().await.counters.consecutive_failures, 4);
}

#[tokio::test]
async fn a_batch_counts_for_as_many_as_it_says_and_a_timeout_is_a_failure() {
    let bench = Bench::new();
    bench.fail(3).await;
    let timeouts = Report { outcome: CallOutcome::Timeout, count: 2, ..failure() };
    assert_eq!(bench.tell(timeouts).await, State::Open);
    let failures = bench.read().await.last_failures;
    assert_eq!(
        failures.iter().map(|f| (f.outcome, f.count)).collect::<Vec<_>>(),
        [(CallOutcome::Timeout, 2), (CallOutcome::Failure, 3)]
    );
}

#[tokio::test]
async fn it_is_open_for_its_time_to_the_millisecond() {
    let bench = Bench::new();
    bench.fail(5).await;
    bench.pass(29_999);
    assert_eq!(bench.acquire().await.retry_after, millis(1));
    assert_eq!(bench.read().await.state, State::Open);
    bench.pass(1);
    assert_eq!(bench.read().await.state, State::HalfOpen, "as it is now, whatever is stored");
    assert!(bench.acquire().await.allowed);
}

#[tokio::test]
async fn failures_that_come_while_it_is_open_are_listed_and_count_for_nothing() {
    let bench = Bench::new();
    bench.fail(5).await;
    let before = bench.read().await;
    for instance in ["i1", "i2", "i3", "i4", "i5", "i6"] {
        bench.pass(1);
        assert_eq!(bench.tell(from(instance)).await, State::Open);
    }
    let after = bench.read().await;
    assert_eq!((after.next_change, after.counters), (before.next_change, before.counters));
    let listed: Vec<_> = after.last_failures.iter().filter_map(|f| f.instance.as_ref().map(Name::as_str)).collect();
    assert_eq!(listed, ["i6", "i5", "i4", "i3", "i2"], "the newest five, newest first");
    assert_eq!(bench.heard().len(), 1);
}

#[tokio::test]
async fn one_instance_alone_cannot_open_what_asks_for_a_quorum() {
    let bench = Bench::new();
    bench.configure(Policy { trip_quorum: 3, ..policy() }).await;
    for _ in 0..20 {
        assert_eq!(bench.tell(from("bad")).await, State::Closed);
    }
    assert_eq!(bench.fail(1).await, State::Closed, "nobody is one instance");
    assert_eq!(bench.read().await.counters.failing_instances, 2);
    assert_eq!(bench.tell(from("other")).await, State::Open);
}

#[tokio::test]
async fn the_quorum_begins_anew_with_the_row() {
    let bench = Bench::new();
    bench.configure(Policy { trip_quorum: 2, ..policy() }).await;
    bench.tell(from("one")).await;
    bench.succeed().await;
    for _ in 0..9 {
        assert_eq!(bench.tell(from("other")).await, State::Closed);
    }
    assert_eq!(bench.tell(from("one")).await, State::Open);
}

#[tokio::test]
async fn no_row_of_failures_opens_what_has_no_threshold() {
    let bench = Bench::new();
    bench.configure(Policy { failure_threshold: None, ..policy() }).await;
    assert_eq!(bench.fail(1_000_000).await, State::Closed);
}

#[tokio::test]
async fn a_report_of_a_call_from_before_the_state_changed_is_counted_nowhere() {
    let bench = Bench::new();
    let early = bench.permit().await;
    bench.fail(5).await;
    bench.pass(30_000);
    let probe = bench.permit().await;
    let listed = bench.read().await.last_failures;
    assert_eq!(bench.tell(with(&early, failure())).await, State::HalfOpen, "a late failure does not open it again");
    for _ in 0..5 {
        assert_eq!(bench.tell(with(&early, success())).await, State::HalfOpen, "nor do late successes close it");
    }
    assert_eq!(bench.read().await.last_failures, listed);
    assert_eq!(bench.tell(with(&probe, success())).await, State::HalfOpen);
    assert_eq!(bench.tell(with(&bench.permit().await, success())).await, State::Closed);
    for stale in [&early, &probe, &name("invented"), &name("c"), &name("-"), &name("99-x"), &name("c0.5")] {
        assert_eq!(bench.tell(Report { count: 9, ..with(stale, failure()) }).await, State::Closed, "{stale}");
    }
    assert_eq!(bench.read().await.counters, Counters::default());
}

#[tokio::test]
async fn reports_with_a_permit_of_a_closed_breaker_count() {
    let bench = Bench::new();
    let permit = bench.permit().await;
    assert_eq!(bench.tell(Report { count: 5, ..with(&permit, failure()) }).await, State::Open);
}
