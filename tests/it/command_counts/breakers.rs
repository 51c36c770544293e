//! Rows of the circuit breakers.

use super::{Counter, name};
use agentapi::db::TenantDb;
use agentapi::stores::breakers::{BreakerSettings, Breakers, CallOutcome, Policy, Report, State, Transitions};
use std::sync::Arc;
use std::time::Duration;

fn report(outcome: CallOutcome) -> Report {
    Report { outcome, duration: None, permit: None, count: 1, instance: None }
}

pub async fn every_operation(counter: &mut Counter, tenant: &TenantDb) {
    let default = BreakerSettings::default().policy();
    let breakers = Breakers::new(tenant.clone(), default, Arc::new(Transitions::default()));
    let (plain, quick) = (name("plain"), name("quick"));
    let policy = Policy { failure_threshold: Some(2), timeout: Duration::from_millis(1), ..default };
    let (failure, success) = (report(CallOutcome::Failure), report(CallOutcome::Success));

    let (acquired, cost) = counter.count("acquire, closed", breakers.acquire(&plain, None)).await;
    assert_eq!(acquired.unwrap().state, State::Closed);
    assert!(cost.round_trips == 1 && cost.commands <= 3, "{cost:?}: asked before each call");
    let (reported, cost) =
        counter.count("report a success, nothing to remember", breakers.report(&plain, &success)).await;
    assert_eq!((reported.unwrap().state, cost.round_trips), (State::Closed, 1));
    let (reported, _) = counter.count("report a failure", breakers.report(&plain, &failure)).await;
    assert_eq!(reported.unwrap().state, State::Closed);
    let (acquired, cost) = counter.count("acquire, closed, after a failure", breakers.acquire(&plain, None)).await;
    assert!(acquired.unwrap().allowed && cost.round_trips == 1 && cost.commands <= 3, "{cost:?}");
    let (reported, _) = counter.count("report a success, after a failure", breakers.report(&plain, &success)).await;
    assert_eq!(reported.unwrap().state, State::Closed);
    for _ in 0..4 {
        breakers.report(&plain, &failure).await.unwrap();
    }
    let (reported, _) = counter.count("report a failure, opening", breakers.report(&plain, &failure)).await;
    assert_eq!(reported.unwrap().state, State::Open);
    let (acquired, cost) = counter.count("acquire, open", breakers.acquire(&plain, None)).await;
    assert_eq!((acquired.unwrap().allowed, cost.round_trips), (false, 1));

    counter.count("configure a breaker", breakers.configure(&quick, &policy)).await.0.unwrap();
    for _ in 0..2 {
        breakers.report(&quick, &failure).await.unwrap();
    }
    // Counting waits until it is over.
    let (acquired, cost) = counter.count("acquire, half open: a probe", breakers.acquire(&quick, None)).await;
    let permit = acquired.unwrap().permit;
    assert!(permit.is_some() && cost.round_trips == 1, "{cost:?}");
    let (acquired, cost) = counter.count("acquire, half open: none left", breakers.acquire(&quick, None)).await;
    assert_eq!((acquired.unwrap().allowed, cost.round_trips), (false, 1));
    let (reported, _) = counter.count("report a probe", breakers.report(&quick, &Report { permit, ..success })).await;
    assert_eq!(reported.unwrap().state, State::HalfOpen);

    for n in 0..9 {
        breakers.configure(&name(&format!("more-{n}")), &policy).await.unwrap();
    }
    let (page, cost) = counter.count("list breakers, a page of 10", breakers.list(None, 10)).await;
    assert_eq!((page.unwrap().0.len(), cost.round_trips), (10, 1), "a page is one round trip");
}
