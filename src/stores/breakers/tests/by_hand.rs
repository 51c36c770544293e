//! States that somebody set.

use super::*;

fn force(state: Forced, ttl: Option<u64>) -> Force {
    let reason = Some("deploy 100%\nthen wait".to_owned());
    Force { state, reason, actor: "key_1".into(), ttl: ttl.map(millis) }
}

impl Bench {
    async fn force(&self, state: Forced, ttl: Option<u64>) -> Breaker {
        self.breakers.force(&b(), &force(state, ttl)).await.unwrap()
    }
}

#[tokio::test]
async fn who_forced_it_why_and_until_when_is_shown() {
    let bench = Bench::new();
    let forced = bench.force(Forced::Open, Some(5000)).await;
    assert_eq!(forced.state, State::ForcedOpen);
    let until = Some(Timestamp::from_millis(START + 5000));
    let by = ForcedBy { actor: "key_1".into(), reason: Some("deploy 100%\nthen wait".into()), until };
    assert_eq!((forced.forced.clone(), forced.next_change), (Some(by), until));
    assert_eq!(bench.read().await, forced);
    assert_eq!(bench.heard(), [(State::Closed, State::ForcedOpen)]);
}

#[tokio::test]
async fn forced_open_lets_nobody_through_until_its_end_and_then_it_is_closed_and_fresh() {
    let bench = Bench::new();
    bench.fail(4).await;
    bench.force(Forced::Open, Some(5000)).await;
    bench.pass(4999);
    let asked = bench.acquire().await;
    assert_eq!(asked, denied(State::ForcedOpen, millis(1)));
    bench.heard();
    bench.pass(1);
    let read = bench.read().await;
    assert_eq!((read.state, read.forced, read.counters), (State::Closed, None, Counters::default()));
    assert!(bench.heard().is_empty(), "looking changes nothing");
    assert!(bench.acquire().await.allowed);
    assert!(bench.acquire().await.allowed);
    assert_eq!(bench.heard(), [(State::ForcedOpen, State::Closed)]);
    assert_eq!(bench.fail(4).await, State::Closed);
}

#[tokio::test]
async fn forced_open_without_an_end_says_to_come_back_in_a_minute() {
    let bench = Bench::new();
    bench.force(Forced::Open, None).await;
    bench.pass(1_000_000_000);
    assert_eq!(bench.acquire().await.retry_after, millis(60_000));
    bench.force(Forced::Auto, None).await;
    assert!(bench.acquire().await.allowed);
    assert_eq!(bench.heard(), [(State::Closed, State::ForcedOpen), (State::ForcedOpen, State::Closed)]);
}

#[tokio::test]
async fn a_minute_that_is_left_is_told_from_further_notice() {
    let bench = Bench::new();
    let known = Arc::new(super::last_known::LastKnown::default());
    let served = Served::new(bench.breakers.clone(), bench.db.clone(), policy(), true, known.clone());
    for (ttl, after_it) in [(Some(60_000), State::Closed), (None, State::ForcedOpen)] {
        bench.force(Forced::Open, ttl).await;
        assert_eq!(served.acquire(&b(), None).await.unwrap().retry_after, millis(60_000));
        let later = std::time::Instant::now() + millis(60_001);
        assert_eq!(known.recall(bench.db.tenant(), &b(), later).state, after_it, "{ttl:?}");
    }
}

#[tokio::test]
async fn forced_closed_counts_and_opens_nothing() {
    let bench = Bench::new();
    bench.configure(Policy { window: Some(millis(10_000)), minimum_calls: 1, ..policy() }).await;
    bench.force(Forced::Closed, None).await;
    for _ in 0..20 {
        assert_eq!(bench.fail(3).await, State::ForcedClosed);
        assert!(bench.acquire().await.allowed);
    }
    let counters = bench.read().await.counters;
    assert_eq!((counters.consecutive_failures, counters.calls, counters.failures), (60, 60, 60));
    bench.force(Forced::Auto, None).await;
    assert_eq!(bench.read().await.counters, Counters::default(), "it begins anew");
    assert_eq!(bench.fail(1).await, State::Open);
}

#[tokio::test]
async fn disabled_counts_nothing() {
    let bench = Bench::new();
    bench.force(Forced::Disabled, Some(1000)).await;
    let text = bench.text().await;
    assert_eq!(bench.fail(100).await, State::Disabled);
    assert!(bench.acquire().await.allowed);
    assert_eq!(bench.text().await, text);
    bench.pass(1000);
    assert_eq!(bench.fail(4).await, State::Closed);
    assert_eq!(bench.heard(), [(State::Closed, State::Disabled), (State::Disabled, State::Closed)]);
}

#[tokio::test]
async fn a_permit_of_a_forced_state_is_worth_nothing_after_it() {
    let bench = Bench::new();
    bench.force(Forced::Disabled, Some(1000)).await;
    let permit = bench.permit().await;
    bench.pass(1000);
    assert_eq!(bench.tell(Report { count: 5, ..with(&permit, failure()) }).await, State::Closed);
    let permit = bench.permit().await;
    assert_eq!(bench.tell(Report { count: 5, ..with(&permit, failure()) }).await, State::Open);
}

#[tokio::test]
async fn auto_closes_what_opened_by_itself() {
    let bench = Bench::new();
    bench.fail(5).await;
    assert_eq!(bench.force(Forced::Auto, Some(1)).await.state, State::Closed);
    bench.fail(4).await;
    assert_eq!(bench.force(Forced::Auto, None).await.counters, Counters::default());
    assert_eq!(bench.heard(), [(State::Closed, State::Open), (State::Open, State::Closed)]);
}

#[tokio::test]
async fn forcing_again_replaces_the_end_and_is_no_change() {
    let bench = Bench::new();
    bench.force(Forced::Open, Some(1000)).await;
    bench.pass(999);
    bench.force(Forced::Open, Some(1000)).await;
    bench.pass(999);
    assert_eq!(bench.acquire().await.retry_after, millis(1));
    bench.force(Forced::Open, None).await;
    assert_eq!(bench.read().await.next_change, None);
    assert_eq!(bench.heard(), [(State::Closed, State::ForcedOpen)]);
}

#[tokio::test]
async fn forcing_what_has_just_ended_passes_through_closed() {
    let bench = Bench::new();
    bench.force(Forced::Open, Some(1000)).await;
    bench.pass(1000);
    bench.force(Forced::Open, Some(1000)).await;
    let (closed, open) = (State::Closed, State::ForcedOpen);
    assert_eq!(bench.heard(), [(closed, open), (open, closed), (closed, open)]);
}
