//! What else opens a breaker: the share of failed or slow calls in a window, and only where enough instances agree.

use super::{configure, fail, read, report};
use crate::api::{app_with, suite};
use crate::harness::app::{App, On};
use reqwest::StatusCode;
use serde_json::json;

suite! {
    a_share_of_failures_opens_it_once_there_are_enough_calls
    slow_calls_open_it_though_they_succeed
    with_a_window_failures_in_a_row_count_where_that_is_said
    one_bad_instance_opens_nothing_where_a_quorum_is_asked_for
}

async fn a_share_of_failures_opens_it_once_there_are_enough_calls(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"window": "1d", "minimum_calls": 10, "failure_rate": 0.5})).await;
    assert_eq!(fail(&tenant, "b", 4).await, "closed", "all of them, but they are too few");
    report(&tenant, "b", json!({"outcome": "success", "count": 5})).await;
    let counters = read(&tenant, "b").await["counters"].clone();
    assert_eq!((&counters["calls"], &counters["failures"]), (&json!(9), &json!(4)));
    assert_eq!(fail(&tenant, "b", 1).await, "open");
}

async fn slow_calls_open_it_though_they_succeed(app: App) {
    let tenant = app.tenant().await;
    let settings = json!({"window": "1d", "minimum_calls": 4, "slow_call_duration": "1s", "slow_call_rate": 0.5});
    configure(&tenant, "b", settings).await;
    let call = async |took: u64| report(&tenant, "b", json!({"outcome": "success", "duration_ms": took})).await;
    for (took, state) in [(999, "closed"), (1000, "closed"), (0, "closed"), (31_622_400_000, "open")] {
        assert_eq!(call(took).await["state"], state, "{took}");
    }
}

async fn with_a_window_failures_in_a_row_count_where_that_is_said(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "rate alone", json!({"window": "1d", "minimum_calls": 100})).await;
    assert_eq!(fail(&tenant, "rate alone", 99).await, "closed");
    configure(&tenant, "both", json!({"window": "1d", "minimum_calls": 100, "failure_threshold": 3})).await;
    assert_eq!(fail(&tenant, "both", 2).await, "closed");
    assert_eq!(fail(&tenant, "both", 1).await, "open");
}

async fn one_bad_instance_opens_nothing_where_a_quorum_is_asked_for(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 2, "trip_quorum": 3, "timeout": "1h"})).await;
    let fails = async |instance: &str| report(&tenant, "b", json!({"outcome": "failure", "instance": instance})).await;
    for instance in ["i1", "i1", "i1", "i2", "i1", "i2"] {
        assert_eq!(fails(instance).await["state"], "closed", "{instance}");
    }
    assert_eq!(read(&tenant, "b").await["counters"]["failing_instances"], 2);
    assert_eq!(fails("i3").await["state"], "open");
}

#[tokio::test]
async fn the_defaults_are_the_servers() {
    let variables = [
        ("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "2"),
        ("CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "1"),
        ("CIRCUIT_BREAKER_TIMEOUT", "7s"),
    ];
    let app = app_with(On::Memory, &variables);
    let tenant = app.tenant().await;
    let settings = read(&tenant, "b").await["settings"].clone();
    let told = ["failure_threshold", "success_threshold", "timeout_ms"].map(|member| settings[member].clone());
    assert_eq!(told, [json!(2), json!(1), json!(7000)]);
    assert_eq!(fail(&tenant, "b", 2).await, "open");
}

#[tokio::test]
async fn where_breakers_are_off_every_call_passes_and_the_rest_works() {
    let app = app_with(On::Memory, &[("CIRCUIT_BREAKER_ENABLED", "false")]);
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1})).await;
    super::force(&tenant, "b", json!({"state": "open"})).await;
    let passes = json!({"allowed": true, "state": "disabled", "permit": null, "retry_after_ms": 0});
    assert_eq!(super::acquire(&tenant, "b").await, passes);
    let reported = report(&tenant, "b", json!({"outcome": "failure", "count": 9})).await;
    assert_eq!(reported, json!({"state": "disabled", "next_change": null}));
    let breaker = read(&tenant, "b").await;
    assert_eq!((&breaker["state"], &breaker["last_failures"]), (&json!("forced_open"), &json!([])));
    tenant.delete(&super::at("b")).await.expect(StatusCode::NO_CONTENT);
}
