//! Several instances of the server over one Redis: one breaker.

use super::{SHORT, acquire, at, configure, fail, force, probe, read, report};
use crate::api::PATIENT;
use crate::harness::app::{App, Caller};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Two instances, and a caller of the same tenant at each.
async fn two(prefix: &str) -> ([App; 2], [Caller; 2]) {
    let redis = RedisServer::shared();
    let prefix = format!("breakers-{prefix}-{}", std::process::id());
    let variables = [&PATIENT[..], &[("REDIS_KEY_PREFIX", prefix.as_str())]].concat();
    let apps = [App::over(redis.clone(), &variables), App::over(redis, &variables)];
    let tenant = apps[0].tenant().await;
    let callers = apps.each_ref().map(|app| app.anyone().with("x-api-key", &tenant.secret));
    (apps, callers)
}

#[tokio::test]
async fn what_one_instance_is_told_the_other_knows() {
    let (_apps, [here, there]) = two("reports").await;
    configure(&here, "b", json!({"failure_threshold": 4, "timeout": "1h"})).await;
    for (caller, state) in [(&here, "closed"), (&there, "closed"), (&here, "closed"), (&there, "open")] {
        assert_eq!(fail(caller, "b", 1).await, state);
    }
    for caller in [&here, &there] {
        assert_eq!(acquire(caller, "b").await["allowed"], false);
    }
    let (one, mut other) = (read(&here, "b").await, read(&there, "b").await);
    other["retry_after_ms"] = one["retry_after_ms"].clone();
    assert_eq!(one, other);
    force(&there, "b", json!({"state": "closed"})).await;
    assert_eq!(acquire(&here, "b").await["state"], "forced_closed");
    there.delete(&at("b")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(read(&here, "b").await["configured"], false);
}

#[tokio::test]
async fn of_64_askers_at_two_instances_exactly_one_is_the_probe() {
    let (apps, callers) = two("probes").await;
    configure(
        &callers[0],
        "b",
        json!({"failure_threshold": 1, "success_threshold": 100, "timeout": SHORT, "permit_ttl": "1h"}),
    )
    .await;
    fail(&callers[0], "b", 1).await;
    let mut permit = probe(&apps[0], &callers[0], "b").await["permit"].clone();
    for round in 0..10 {
        let state = report(&callers[round % 2], "b", json!({"outcome": "success", "permit": permit})).await;
        assert_eq!(state["state"], "half_open");
        let asked = join_all((0..64).map(|n| acquire(&callers[n % 2], "b"))).await;
        let allowed: Vec<&Value> = asked.iter().filter(|answer| answer["allowed"] == true).collect();
        assert_eq!(allowed.len(), 1, "round {round}");
        permit = allowed[0]["permit"].clone();
        assert!(permit.is_string());
    }
}

#[tokio::test]
async fn failures_that_are_reported_at_once_are_all_counted() {
    let (_apps, callers) = two("counts").await;
    configure(&callers[0], "b", json!({"failure_threshold": 1_000_000})).await;
    join_all((0..64).map(|n| fail(&callers[n % 2], "b", 3))).await;
    assert_eq!(read(&callers[1], "b").await["counters"]["consecutive_failures"], 192);
}

#[tokio::test]
async fn a_quorum_is_over_all_instances() {
    let (_apps, [here, there]) = two("quorum").await;
    configure(&here, "b", json!({"failure_threshold": 1, "trip_quorum": 2, "timeout": "1h"})).await;
    let fails = async |caller: &Caller, instance: &str| {
        report(caller, "b", json!({"outcome": "failure", "instance": instance})).await["state"].clone()
    };
    for _ in 0..3 {
        assert_eq!(fails(&here, "i1").await, "closed");
    }
    assert_eq!(fails(&there, "i1").await, "closed", "it is the instance that it says");
    assert_eq!(fails(&there, "i2").await, "open");
}
