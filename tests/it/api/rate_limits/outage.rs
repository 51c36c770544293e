//! What is answered while the backend cannot be asked.

use super::super::PATIENT;
use super::{LONG, one_of, policy};
use crate::harness::app::{Answer, App, Caller, Tenant};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn until(caller: &Caller, status: StatusCode) {
    let begun = Instant::now();
    while caller.get("/health/ready").await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not become {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An answer that says that it is not the backend's.
#[track_caller]
fn degraded(answer: &Answer) -> Value {
    let body = answer.expect(StatusCode::OK);
    assert_eq!((&body["degraded"], answer.header("x-degraded")), (&json!(true), "memory"), "{body}");
    body
}

/// A server that has policies in use and a reservation, and then no backend.
async fn cut_off(variables: &[(&str, &str)]) -> (App, Tenant, Arc<RedisServer>, String) {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[&PATIENT, variables].concat());
    let tenant = app.tenant().await;
    policy(&tenant, "gold", json!({"limit": 2, "window": LONG})).await;
    policy(&tenant, "trial", json!({"limit": 1, "window": LONG, "shadow": true})).await;
    for policy in ["gold", "trial"] {
        let used = tenant.post("/v1/ratelimit/check", json!({"key": "before", "policy": policy})).await;
        assert_eq!(used.expect(StatusCode::OK).get("degraded"), None);
    }
    let held = tenant.post("/v1/ratelimit/reserve", one_of(5, "held")).await.expect(StatusCode::CREATED);
    let held = held["reservation"].as_str().expect("an id").to_owned();
    redis.kill();
    until(&app.anyone(), StatusCode::SERVICE_UNAVAILABLE).await;
    (app, tenant, redis, held)
}

async fn what_needs_the_backend_is_refused(tenant: &Caller, held: &str) {
    let held = format!("/v1/ratelimit/reservations/{held}");
    let fine = json!({"limit": 1, "window": LONG});
    for answer in [
        tenant.post("/v1/ratelimit/reserve", one_of(5, "k")).await,
        tenant.post(&format!("{held}/commit"), json!({"cost": 1})).await,
        tenant.post(&format!("{held}/cancel"), json!({})).await,
        tenant.delete("/v1/ratelimit?key=k").await,
        tenant.get("/v1/ratelimit/policies").await,
        tenant.get("/v1/ratelimit/policies/gold").await,
        tenant.put("/v1/ratelimit/policies/gold", fine).await,
        tenant.delete("/v1/ratelimit/policies/gold").await,
        tenant.post("/v1/ratelimit/check", json!({"key": "k", "policy": "never known"})).await,
    ] {
        answer.refused(503, "backend_unavailable");
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
        assert_eq!(answer.header("x-degraded"), "", "a refusal comes from nowhere");
    }
}

#[tokio::test]
async fn limits_fail_open_with_what_this_process_counts() {
    let (app, tenant, redis, held) = cut_off(&[]).await;
    for (remaining, allowed) in [(1, true), (0, true), (0, false), (0, false)] {
        let body = degraded(&tenant.post("/v1/ratelimit/check", json!({"key": "k", "policy": "gold"})).await);
        assert_eq!((&body["allowed"], &body["remaining"]), (&json!(allowed), &json!(remaining)));
    }
    let denied = tenant.get("/v1/ratelimit/enforce?key=k&policy=gold").await;
    assert_eq!(denied.refused(429, "rate_limited")["violated-policies"], json!(["gold"]));
    assert_eq!((denied.header("x-degraded"), denied.header("ratelimit").is_empty()), ("memory", false));
    degraded(&tenant.post("/v1/ratelimit/enforce", one_of(5, "other")).await);
    assert_eq!(degraded(&tenant.get("/v1/ratelimit?key=k&policy=gold").await)["current"], 2);
    let several = tenant.post("/v1/ratelimit/check", json!({"checks": [one_of(5, "a"), one_of(5, "b")]})).await;
    let several = degraded(&several);
    assert_eq!((&several["allowed"], &several["results"][1]["degraded"]), (&json!(true), &json!(true)));
    let wrong = tenant.post("/v1/ratelimit/check", one_of(0, "k")).await;
    assert_eq!(wrong.refused(422, "validation_failed")["errors"][0]["pointer"], "/limit");
    what_needs_the_backend_is_refused(&tenant, &held).await;

    redis.restart();
    until(&app.anyone(), StatusCode::OK).await;
    let begun = Instant::now();
    loop {
        let answer = app.tenant().await.post("/v1/ratelimit/check", one_of(5, "k")).await;
        let body = answer.expect(StatusCode::OK);
        if body.get("degraded").is_none() {
            assert_eq!((&body["current"], answer.header("x-degraded")), (&json!(1), ""));
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays degraded");
    }
}

#[tokio::test]
async fn limits_fail_closed_where_that_is_wanted() {
    let (_app, tenant, _redis, held) = cut_off(&[("RATE_LIMIT_FAIL", "closed")]).await;
    let body = degraded(&tenant.post("/v1/ratelimit/check", one_of(5, "k")).await);
    assert_eq!((&body["allowed"], &body["remaining"], &body["limit"]), (&json!(false), &json!(0), &json!(5)));
    assert_eq!(body["retry_after_ms"], 1000);
    let several = tenant.post("/v1/ratelimit/check", json!({"checks": [one_of(5, "a"), one_of(5, "b")]})).await;
    let several = degraded(&several);
    assert_eq!((&several["allowed"], &several["violated"]), (&json!(false), &json!(["a", "b"])));
    for answer in [
        tenant.post("/v1/ratelimit/enforce", one_of(5, "k")).await,
        tenant.get("/v1/ratelimit/enforce?key=k&policy=gold").await,
        tenant.get("/v1/ratelimit?key=k&policy=gold").await,
    ] {
        answer.refused(503, "backend_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    let shadow = degraded(&tenant.post("/v1/ratelimit/enforce", json!({"key": "k", "policy": "trial"})).await);
    assert_eq!((&shadow["allowed"], &shadow["would_deny"]), (&json!(true), &json!(true)));
    what_needs_the_backend_is_refused(&tenant, &held).await;
}
