//! The circuit breakers over each backend: every script, many callers at once, repetition, a full Redis.

mod together;

use crate::harness::redis_server::RedisServer;
use crate::sessions_store::bench::{Bench, name};
use agentapi::db::{self, TenantDb};
use agentapi::stores::breakers::{
    BreakerSettings, Breakers, CallOutcome, Counters, Error, Force, Forced, Policy, Report, State, Transition,
    Transitions,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An hour: what is not to change by itself while a test runs.
const LONG: Duration = Duration::from_secs(3600);

type Heard = Arc<Mutex<Vec<Transition>>>;

fn every_backend() -> [(&'static str, Bench); 3] {
    [("memory", Bench::memory()), ("native", Bench::native()), ("rest", Bench::rest())]
}

fn policy() -> Policy {
    Policy { timeout: LONG, timeout_max: LONG, permit_ttl: LONG, ..BreakerSettings::default().policy() }
}

/// The breakers as one instance has them. What all of them announce is heard together.
fn instance(db: &TenantDb, defaults: Policy, heard: &Heard) -> Breakers {
    let heard = heard.clone();
    let transitions = Transitions::heard_by(move |_, _, transition| heard.lock().unwrap().push(transition));
    Breakers::new(db.clone(), defaults, Arc::new(transitions))
}

fn changes(heard: &Heard) -> Vec<(State, State)> {
    heard.lock().unwrap().drain(..).map(|change| (change.from, change.to)).collect()
}

fn report(outcome: CallOutcome, count: u32) -> Report {
    Report { outcome, duration: None, permit: None, count, instance: None }
}

fn force(state: Forced) -> Force {
    Force { state, reason: Some("because: 50% of é\n".into()), actor: "admin".into(), ttl: None }
}

/// Waits until an open breaker says that it lets a probe through, and takes its permit.
async fn probe(breakers: &Breakers, of: &str) -> agentapi::base::text::Name {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while std::time::Instant::now() < patience {
        let acquired = breakers.acquire(&name(of), Some(&name("prober"))).await.unwrap();
        if let Some(permit) = acquired.permit {
            return permit;
        }
        tokio::time::sleep(acquired.retry_after.min(Duration::from_secs(1))).await;
    }
    panic!("it stays open");
}

#[tokio::test]
async fn every_script_does_the_same_on_every_backend() {
    for (backend, bench) in every_backend() {
        let heard = Heard::default();
        let breakers = instance(&bench.db, policy(), &heard);
        let hostile = name("a {b}:*?[c]\u{1f980} 'd' %00 since=1");
        let b = &hostile;
        assert_eq!(breakers.read(b).await.unwrap().state, State::Closed, "{backend}");
        assert!(breakers.acquire(b, None).await.unwrap().allowed, "{backend}");
        assert_eq!(breakers.report(b, &report(CallOutcome::Success, 1)).await.unwrap().state, State::Closed);
        assert_eq!(breakers.list(None, 10).await.unwrap().0, [], "{backend}: nothing to remember");

        let windowed = Policy { window: Some(LONG), slow_call_duration: Some(Duration::from_millis(5)), ..policy() };
        assert_eq!(breakers.configure(b, &windowed).await.unwrap().policy, Some(windowed), "{backend}");
        let slow = Report {
            duration: Some(Duration::from_secs(1)),
            instance: Some(hostile.clone()),
            ..report(CallOutcome::Timeout, 4)
        };
        breakers.report(b, &report(CallOutcome::Success, 100)).await.unwrap();
        assert_eq!(breakers.report(b, &slow).await.unwrap().state, State::Closed, "{backend}");
        let read = breakers.read(b).await.unwrap();
        let counters = Counters {
            consecutive_failures: 4,
            failing_instances: 1,
            calls: 104,
            failures: 4,
            slow_calls: 4,
            ..Counters::default()
        };
        assert_eq!(read.counters, counters, "{backend}");
        assert_eq!(read.last_failures[0].instance.as_ref(), Some(b), "{backend}");
        let opened = breakers.report(b, &slow).await.unwrap();
        assert!(opened.state == State::Open && opened.next_change.is_some(), "{backend}");
        let denied = breakers.acquire(b, None).await.unwrap();
        assert!(
            !denied.allowed && denied.retry_after <= LONG && denied.retry_after > LONG / 2,
            "{backend}: {denied:?}"
        );
        assert_eq!(breakers.list(None, 10).await.unwrap(), (vec![breakers.read(b).await.unwrap()], None), "{backend}");

        let forced = breakers.force(b, &force(Forced::Closed)).await.unwrap();
        assert_eq!(forced.forced.as_ref().unwrap().reason.as_deref(), Some("because: 50% of é\n"), "{backend}");
        assert_eq!(breakers.read(b).await.unwrap(), forced, "{backend}");
        breakers.forget(b).await.unwrap();
        assert_eq!(breakers.list(None, 10).await.unwrap().0, [], "{backend}");
        let (closed, open, by_hand) = (State::Closed, State::Open, State::ForcedClosed);
        assert_eq!(changes(&heard), [(closed, open), (open, by_hand), (by_hand, closed)], "{backend}");
    }
}

#[tokio::test]
async fn a_probe_closes_it_on_every_backend() {
    for (backend, bench) in every_backend() {
        let heard = Heard::default();
        let short = Policy { timeout: Duration::from_millis(200), success_threshold: 1, ..policy() };
        let breakers = instance(&bench.db, short, &heard);
        breakers.report(&name("b"), &report(CallOutcome::Failure, 5)).await.unwrap();
        if backend == "memory" {
            bench.advance(1);
        }
        let permit = probe(&breakers, "b").await;
        assert_eq!(breakers.read(&name("b")).await.unwrap().counters.probes, 1, "{backend}");
        let told = Report { permit: Some(permit), ..report(CallOutcome::Success, 1) };
        assert_eq!(breakers.report(&name("b"), &told).await.unwrap().state, State::Closed, "{backend}");
        let (closed, open, half) = (State::Closed, State::Open, State::HalfOpen);
        assert_eq!(changes(&heard), [(closed, open), (open, half), (half, closed)], "{backend}");
    }
}

#[tokio::test]
async fn a_page_of_a_thousand_is_one_round_trip_on_every_backend() {
    for (backend, bench) in every_backend() {
        let breakers = instance(&bench.db, policy(), &Heard::default());
        for n in 0..1001 {
            breakers.configure(&name(&format!("b{n:04}")), &policy()).await.unwrap();
        }
        let (page, cost) = bench.cost(breakers.list(None, 1000)).await;
        let (page, next) = page.unwrap();
        assert_eq!((page.len(), next.as_deref(), cost), (1000, Some("b0999"), (1, 1)), "{backend}");
        let (rest, next) = breakers.list(next.as_deref(), 1000).await.unwrap();
        assert_eq!((rest.len(), next), (1, None), "{backend}");
    }
}

#[tokio::test]
async fn another_tenant_has_breakers_of_its_own() {
    for (backend, bench) in every_backend() {
        let (ours, theirs) = (Heard::default(), Heard::default());
        let mine = instance(&bench.db, policy(), &ours);
        let other = instance(&bench.other_tenant, policy(), &theirs);
        mine.report(&name("b"), &report(CallOutcome::Failure, 5)).await.unwrap();
        assert!(other.acquire(&name("b"), None).await.unwrap().allowed, "{backend}");
        assert_eq!(other.list(None, 10).await.unwrap().0, [], "{backend}");
        other.forget(&name("b")).await.unwrap();
        assert_eq!(mine.read(&name("b")).await.unwrap().state, State::Open, "{backend}");
    }
}

#[tokio::test]
async fn what_is_said_twice_is_done_once_and_announced() {
    let bench = Bench::memory();
    let heard = Heard::default();
    // Between the two runs of a command a second passes.
    let breakers = instance(&bench.db, Policy { half_open_permits: 2, permit_ttl: LONG * 2, ..policy() }, &heard);
    bench.say_twice();
    breakers.report(&name("b"), &report(CallOutcome::Failure, 1)).await.unwrap();
    assert_eq!(breakers.read(&name("b")).await.unwrap().counters.consecutive_failures, 1, "never asked again");
    breakers.report(&name("b"), &report(CallOutcome::Failure, 4)).await.unwrap();
    bench.advance(3600);
    assert!(breakers.acquire(&name("b"), None).await.unwrap().allowed);
    assert_eq!(breakers.read(&name("b")).await.unwrap().counters.probes, 1);
    assert!(breakers.acquire(&name("b"), None).await.unwrap().allowed);
    assert!(!breakers.acquire(&name("b"), None).await.unwrap().allowed);
    let minute = Force { ttl: Some(Duration::from_secs(60)), ..force(Forced::Disabled) };
    breakers.force(&name("b"), &minute).await.unwrap();
    bench.advance(60);
    assert!(breakers.acquire(&name("b"), None).await.unwrap().allowed);
    breakers.force(&name("b"), &force(Forced::Open)).await.unwrap();
    breakers.forget(&name("b")).await.unwrap();
    let (closed, open, half) = (State::Closed, State::Open, State::HalfOpen);
    let (disabled, forced) = (State::Disabled, State::ForcedOpen);
    let expected =
        [(closed, open), (open, half), (half, disabled), (disabled, closed), (closed, forced), (forced, closed)];
    assert_eq!(changes(&heard), expected);
}

#[tokio::test]
async fn a_full_redis_refuses_new_breakers_and_those_that_it_has_go_on() {
    let server = Arc::new(RedisServer::start());
    let bench = Bench::on(server);
    let short = Policy { timeout: Duration::from_millis(1), success_threshold: 1, ..policy() };
    let breakers = instance(&bench.db, short, &Heard::default());
    breakers.report(&name("b"), &report(CallOutcome::Failure, 5)).await.unwrap();
    breakers.report(&name("c"), &report(CallOutcome::Failure, 1)).await.unwrap();
    bench.raw(&["CONFIG", "SET", "maxmemory", "1"]).await.done().unwrap();
    let full =
        |refused: Option<Error>| matches!(refused, Some(Error::Backend(db::Error { kind: db::ErrorKind::Full, .. })));
    let failure = report(CallOutcome::Failure, 1);
    assert!(full(breakers.report(&name("new"), &failure).await.err()));
    assert!(full(breakers.configure(&name("new"), &policy()).await.err()));
    assert!(full(breakers.force(&name("new"), &force(Forced::Open)).await.err()));
    assert_eq!(breakers.read(&name("new")).await.unwrap().state, State::Closed);
    assert!(breakers.acquire(&name("new"), None).await.unwrap().allowed);

    let permit = probe(&breakers, "b").await;
    let told = Report { permit: Some(permit), ..report(CallOutcome::Success, 1) };
    assert_eq!(breakers.report(&name("b"), &told).await.unwrap().state, State::Closed);
    assert_eq!(breakers.report(&name("c"), &report(CallOutcome::Failure, 4)).await.unwrap().state, State::Open);
    assert_eq!(breakers.force(&name("c"), &force(Forced::Open)).await.unwrap().state, State::ForcedOpen);
    breakers.forget(&name("c")).await.unwrap();
    assert_eq!(breakers.list(None, 10).await.unwrap().0.len(), 1);
}
