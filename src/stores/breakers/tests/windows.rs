//! Rates over a window.

use super::*;

fn windowed() -> Policy {
    Policy { failure_threshold: None, window: Some(millis(10_000)), minimum_calls: 10, ..policy() }
}

impl Bench {
    async fn slow(&self, times: u32) -> State {
        self.tell(Report { count: times, duration: Some(millis(200)), ..success() }).await
    }
}

#[tokio::test]
async fn half_of_the_calls_failing_opens_it_and_less_does_not() {
    let bench = Bench::with(windowed());
    bench.tell(Report { count: 10, ..success() }).await;
    assert_eq!(bench.fail(9).await, State::Closed);
    assert_eq!(bench.read().await.counters.calls, 19);
    assert_eq!(bench.fail(1).await, State::Open);
}

#[tokio::test]
async fn a_few_calls_open_nothing_and_the_one_that_makes_it_enough_does() {
    let bench = Bench::with(windowed());
    assert_eq!(bench.fail(9).await, State::Closed);
    assert_eq!(bench.succeed().await, State::Open);
}

#[tokio::test]
async fn what_is_older_than_the_window_does_not_count() {
    let bench = Bench::with(windowed());
    bench.fail(9).await;
    bench.pass(9_999);
    assert_eq!(bench.read().await.counters.failures, 9);
    bench.pass(1);
    assert_eq!(bench.read().await.counters, Counters { consecutive_failures: 9, ..Counters::default() });
    assert_eq!(bench.fail(9).await, State::Closed);
    assert_eq!(bench.text().await.unwrap().matches("bucket").count(), 1);
}

#[tokio::test]
async fn there_are_never_more_than_ten_buckets() {
    let bench = Bench::with(windowed());
    for _ in 0..200 {
        bench.succeed().await;
        bench.pass(333);
        assert!(bench.text().await.unwrap().matches("bucket").count() <= 10);
    }
    let calls = bench.read().await.counters.calls;
    assert!((27..=30).contains(&calls), "{calls}");
}

#[tokio::test]
async fn slow_calls_open_it_though_they_succeed() {
    let slow = Policy { slow_call_duration: Some(millis(200)), slow_call_rate: 800_000, ..windowed() };
    let bench = Bench::with(slow);
    bench.tell(Report { count: 3, duration: Some(millis(199)), ..success() }).await;
    assert_eq!(bench.slow(11).await, State::Closed);
    assert_eq!(bench.read().await.counters.slow_calls, 11);
    assert_eq!(bench.slow(1).await, State::Open);
    assert!(bench.read().await.last_failures.is_empty());
}

#[tokio::test]
async fn a_slow_failure_is_both() {
    let bench = Bench::with(Policy { slow_call_duration: Some(millis(200)), ..windowed() });
    bench.tell(Report { count: 4, duration: Some(millis(500)), ..failure() }).await;
    let counters = bench.read().await.counters;
    assert_eq!((counters.calls, counters.failures, counters.slow_calls), (4, 4, 4));
}

#[tokio::test]
async fn with_a_window_a_row_opens_it_only_where_that_was_asked_for() {
    let bench = Bench::with(Policy { minimum_calls: 100, ..windowed() });
    assert_eq!(bench.fail(50).await, State::Closed);
    bench.configure(Policy { failure_threshold: Some(5), minimum_calls: 100, ..windowed() }).await;
    bench.succeed().await;
    assert_eq!(bench.fail(4).await, State::Closed);
    assert_eq!(bench.fail(1).await, State::Open);
}

#[tokio::test]
async fn instances_age_out_with_the_window() {
    let bench = Bench::with(Policy { trip_quorum: 2, ..windowed() });
    bench.tell(from("one")).await;
    bench.pass(10_000);
    for _ in 0..20 {
        assert_eq!(bench.tell(from("other")).await, State::Closed);
    }
    bench.succeed().await;
    assert_eq!(bench.read().await.counters.failing_instances, 1, "a success ends the row, not the window");
    assert_eq!(bench.tell(from("one")).await, State::Open);
}

#[tokio::test]
async fn instances_are_remembered_up_to_the_quorum() {
    let bench = Bench::with(Policy { trip_quorum: 100, ..windowed() });
    for n in 0..99 {
        assert_eq!(bench.tell(from(&format!("i{n}"))).await, State::Closed);
        assert_eq!(bench.tell(from(&format!("i{}", n / 2))).await, State::Closed);
    }
    assert_eq!(bench.tell(from("i99")).await, State::Open);
    let bench = Bench::with(Policy { trip_quorum: 3, failure_threshold: Some(1000), ..policy() });
    for n in 0..50 {
        bench.tell(from(&format!("i{n}"))).await;
    }
    assert_eq!(bench.text().await.unwrap().matches("instance").count(), 3);
}

#[tokio::test]
async fn another_window_sorts_anew_what_was_counted() {
    let bench = Bench::with(windowed());
    for _ in 0..10 {
        bench.succeed().await;
        bench.pass(1000);
    }
    bench.pass(0);
    bench.configure(Policy { window: Some(millis(100_000)), ..windowed() }).await;
    bench.succeed().await;
    let calls = bench.read().await.counters.calls;
    assert_eq!(calls, 11, "{:?}", bench.text().await);
    assert!(bench.text().await.unwrap().matches("bucket").count() <= 2);
    bench.configure(policy()).await;
    bench.fail(1).await;
    assert_eq!(bench.text().await.unwrap().matches("bucket").count(), 0);
}

#[tokio::test]
async fn what_a_window_held_is_not_counted_when_another_is_set_after_a_time_without() {
    let bench = Bench::with(windowed());
    bench.succeed().await;
    bench.configure(policy()).await;
    bench.succeed().await;
    bench.configure(windowed()).await;
    assert_eq!(bench.read().await.counters.calls, 0);
}
