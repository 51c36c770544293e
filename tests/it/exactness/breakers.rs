//! Breakers asked and told from all sides at once: one probe, one opening.

use super::{CALLERS, Two, is_allowed, number};
use crate::harness::app::{App, On};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a probe may take. Longer than all callers need for one question each.
const LEASE: Duration = Duration::from_secs(3);

/// How often this instance has seen a breaker open.
async fn openings(app: &App) -> u64 {
    let metrics = app.anyone().get("/metrics").await.text;
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("agentapi_breaker_transitions_total{") && line.contains("to=\"open\""));
    lines.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")).sum()
}

impl Two {
    async fn openings(&self) -> u64 {
        openings(&self.apps[0]).await + openings(&self.apps[1]).await
    }

    async fn breaker(&self, settings: Value) {
        self.callers[0].put("/v1/breakers/upstream", settings).await.expect(StatusCode::OK);
    }

    async fn report(&self, body: Value) -> Value {
        self.callers[1].post("/v1/breakers/upstream/report", body).await.expect(StatusCode::OK)
    }

    /// Everybody asks; the answers of those who may.
    async fn probes(&self) -> Vec<Value> {
        let answers = self
            .ask(1, async |caller, _| {
                caller.post("/v1/breakers/upstream/acquire", json!({})).await.expect(StatusCode::OK)
            })
            .await;
        assert_eq!(answers.len(), CALLERS);
        for answer in &answers {
            assert_eq!(
                (&answer["state"], number(answer, "retry_after_ms") == 0),
                (&json!("half_open"), is_allowed(answer))
            );
            assert_eq!(answer["permit"].is_string(), is_allowed(answer), "{answer}");
            assert!(answer.get("degraded").is_none(), "{answer}");
        }
        answers.into_iter().filter(is_allowed).collect()
    }
}

async fn one_of_all_askers_probes(on: On) {
    let two = Two::on(on).await;
    two.breaker(json!({
        "failure_threshold": 1, "success_threshold": 2, "timeout": "200ms",
        "half_open_permits": 1, "permit_ttl": LEASE.as_secs(),
    }))
    .await;
    assert_eq!(two.report(json!({"outcome": "failure"})).await["state"], "open");
    tokio::time::sleep(Duration::from_millis(250)).await;

    let granted = Instant::now();
    let first = two.probes().await;
    assert!(granted.elapsed() < LEASE, "the lease ended while they asked: {:?}", granted.elapsed());
    assert_eq!(first.len(), 1, "{first:?}");
    // The prober has crashed: its permit goes to one other.
    tokio::time::sleep(LEASE + Duration::from_millis(100)).await;
    let granted = Instant::now();
    let second = two.probes().await;
    assert!(granted.elapsed() < LEASE, "the lease ended while they asked: {:?}", granted.elapsed());
    assert_eq!(second.len(), 1, "{second:?}");
    assert_ne!(first[0]["permit"], second[0]["permit"]);
    // It succeeds, and another one may.
    let told = two.report(json!({"outcome": "success", "permit": second[0]["permit"]})).await;
    assert_eq!(told["state"], "half_open");
    let third = two.probes().await;
    assert_eq!(third.len(), 1, "{third:?}");
    let told = two.report(json!({"outcome": "success", "permit": third[0]["permit"]})).await;
    assert_eq!(told["state"], "closed");
    assert_eq!(two.openings().await, 1);
}

#[tokio::test]
async fn one_of_sixty_four_askers_probes_and_one_more_when_its_lease_is_over_on_native() {
    one_of_all_askers_probes(On::Native).await;
}

#[tokio::test]
async fn one_of_sixty_four_askers_probes_and_one_more_when_its_lease_is_over_on_rest() {
    one_of_all_askers_probes(On::Rest).await;
}

async fn many_reports_are_one_opening(on: On) {
    let two = Two::on(on).await;
    two.breaker(json!({"failure_threshold": 5, "timeout": "1h"})).await;
    assert_eq!(two.openings().await, 0);
    let told = two
        .ask(1, async |caller, _| {
            caller.post("/v1/breakers/upstream/report", json!({"outcome": "failure"})).await.expect(StatusCode::OK)
        })
        .await;
    // Four were not enough, whoever they were; the fifth was.
    assert_eq!(told.iter().filter(|answer| answer["state"] == "closed").count(), 4);
    assert_eq!(told.iter().filter(|answer| answer["state"] == "open").count(), told.len() - 4);
    assert_eq!(two.openings().await, 1, "each of these is an event that is sent");
    for caller in &two.callers {
        let denied = caller.post("/v1/breakers/upstream/acquire", json!({})).await.expect(StatusCode::OK);
        assert!(!is_allowed(&denied) && denied["state"] == "open", "{denied}");
    }
}

#[tokio::test]
async fn a_crowd_of_reports_opens_a_breaker_once_on_native() {
    many_reports_are_one_opening(On::Native).await;
}

#[tokio::test]
async fn a_crowd_of_reports_opens_a_breaker_once_on_rest() {
    many_reports_are_one_opening(On::Rest).await;
}

#[tokio::test]
async fn failures_of_one_instance_alone_never_open_a_breaker_that_wants_two() {
    let two = Two::on(On::Native).await;
    two.breaker(json!({"failure_threshold": 5, "timeout": "1h", "trip_quorum": 2})).await;
    let failure = |instance: &str| json!({"outcome": "failure", "instance": instance});
    let told = two
        .ask(1, async |caller, _| {
            caller.post("/v1/breakers/upstream/report", failure("bad")).await.expect(StatusCode::OK)
        })
        .await;
    assert!(told.iter().all(|answer| answer["state"] == "closed"), "{told:?}");
    assert_eq!(two.report(failure("another")).await["state"], "open");
    assert_eq!(two.openings().await, 1);
}
