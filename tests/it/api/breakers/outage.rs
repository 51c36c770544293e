//! Breakers while the backend cannot be asked: the last known state, and said to be that.

use super::{acquire, at, configure, fail, force, read};
use crate::harness::app::{Answer, App, Caller};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any answer may take, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(10);

/// An answer of this process's memory, in time.
async fn from_memory(caller: &Caller, call: &str, body: Option<Value>) -> Value {
    let begun = Instant::now();
    let answer = match body {
        None => caller.get(call).await,
        Some(body) => caller.post(call, body).await,
    };
    assert!(begun.elapsed() < SOON, "{call} took {:?}", begun.elapsed());
    assert_eq!((answer.status.as_u16(), answer.header("x-degraded")), (200, "memory"), "{call}: {}", answer.text);
    let mut answer = answer.json();
    let said = answer.as_object_mut().and_then(|members| members.remove("degraded"));
    assert_eq!(said, Some(json!(true)), "{call}");
    answer
}

async fn refused(answer: Answer) {
    answer.refused(503, "backend_unavailable");
    assert_eq!(answer.header("x-degraded"), "", "a refusal comes from nowhere");
}

/// The states that are known before the outage, and whether a call may be made in it.
const KNOWN: &[(&str, bool)] =
    &[("closed", true), ("open", false), ("forced_open", false), ("forced_closed", true), ("disabled", true)];

async fn prepare(tenant: &Caller) {
    for (name, _) in KNOWN {
        configure(tenant, name, json!({"failure_threshold": 1, "timeout": "1h"})).await;
    }
    fail(tenant, "open", 1).await;
    for (name, state) in [("forced_open", "open"), ("forced_closed", "closed"), ("disabled", "disabled")] {
        force(tenant, name, json!({"state": state})).await;
    }
    for name in ["forgotten", "given back"] {
        force(tenant, name, json!({"state": "open"})).await;
        assert_eq!(acquire(tenant, name).await["allowed"], false);
    }
    tenant.delete(&at("forgotten")).await.expect(StatusCode::NO_CONTENT);
    force(tenant, "given back", json!({"state": "auto"})).await;
    configure(tenant, "soon over", json!({"failure_threshold": 1, "timeout": "300ms"})).await;
    fail(tenant, "soon over", 1).await;
    for (name, allowed) in KNOWN {
        let asked = tenant.post(&format!("{}/acquire", at(name)), json!({})).await;
        assert_eq!(asked.header("x-degraded"), "");
        let asked = asked.expect(StatusCode::OK);
        assert_eq!((&asked["allowed"], asked.get("degraded")), (&json!(allowed), None));
    }
}

/// Waits until so many answers in a row come from memory that the outage has been noticed for good: what the first
/// failed calls meet besides breakers, such as a look at the keys, is refused until then.
async fn until_degraded(tenant: &Caller) {
    let (begun, mut in_a_row) = (Instant::now(), 0);
    while in_a_row < 20 {
        let answer = tenant.post(&format!("{}/acquire", at("closed")), json!({})).await;
        in_a_row = if answer.header("x-degraded") == "memory" { in_a_row + 1 } else { 0 };
        assert!(begun.elapsed() < Duration::from_secs(30), "the outage does not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn all_as_last_known(tenant: &Caller) {
    for (name, allowed) in KNOWN {
        let asked = from_memory(tenant, &format!("{}/acquire", at(name)), Some(json!({"instance": "i"}))).await;
        let shown = (&asked["allowed"], &asked["state"], &asked["permit"]);
        assert_eq!(shown, (&json!(allowed), &json!(name), &Value::Null), "{name}");
        assert_eq!(asked["retry_after_ms"].as_u64() > Some(0), !allowed, "{asked}");
        if *name == "forced_open" {
            assert_eq!(asked["retry_after_ms"], 60_000, "until further notice, which asking has not made shorter");
        }
        let told = json!({"outcome": "failure", "count": 1000});
        let told = from_memory(tenant, &format!("{}/report", at(name)), Some(told)).await;
        let breaker = from_memory(tenant, &at(name), None).await;
        assert_eq!((&told["state"], &breaker["state"], &breaker["name"]), (&json!(name), &json!(name), &json!(name)));
        assert_eq!(told["next_change"].is_string(), *name == "open");
        for unknown in ["counters", "settings", "configured", "last_failures", "forced", "since"] {
            assert_eq!(breaker.get(unknown), None, "{unknown} is not known");
        }
    }
    for name in ["never seen", "forgotten", "given back"] {
        let asked = from_memory(tenant, &format!("{}/acquire", at(name)), Some(json!({}))).await;
        let closed = json!({"allowed": true, "state": "closed", "permit": null, "retry_after_ms": 0});
        assert_eq!(asked, closed, "{name}");
    }
    let begun = Instant::now();
    let over = format!("{}/acquire", at("soon over"));
    while from_memory(tenant, &over, Some(json!({}))).await["allowed"] == false {
        assert!(begun.elapsed() < SOON, "its time is never over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(from_memory(tenant, &over, Some(json!({}))).await["state"], "half_open");
    refused(tenant.get("/v1/breakers").await).await;
    refused(tenant.put(&at("closed"), json!({})).await).await;
    refused(tenant.post(&format!("{}/force", at("open")), json!({"state": "auto"})).await).await;
    refused(tenant.delete(&at("open")).await).await;
    tenant
        .post(&format!("{}/report", at("closed")), json!({"outcome": "canary"}))
        .await
        .refused(422, "validation_failed");
}

async fn until_asked_again(tenant: &Caller) {
    let begun = Instant::now();
    while tenant.get("/v1/breakers").await.status != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30), "the outage does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_gone_leaves_the_last_known_states_and_loses_none() {
    let redis = Arc::new(RedisServer::start_durable());
    let app = App::over(redis.clone(), &[]);
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    prepare(&tenant).await;
    acquire(&other, "open").await;
    redis.kill();
    until_degraded(&tenant).await;
    all_as_last_known(&tenant).await;
    let asked = from_memory(&other, &format!("{}/acquire", at("open")), Some(json!({}))).await;
    assert_eq!(asked["state"], "closed", "another tenant's breaker is another");
    app.anyone().post(&format!("{}/acquire", at("closed")), json!({})).await.refused(401, "unauthorized");
    redis.restart();
    until_asked_again(&tenant).await;
    for (name, allowed) in KNOWN {
        let breaker = tenant.get(&at(name)).await;
        assert_eq!(breaker.header("x-degraded"), "");
        assert_eq!(breaker.expect(StatusCode::OK)["state"], *name, "what was reported meanwhile opened nothing");
        assert_eq!(acquire(&tenant, name).await["allowed"], *allowed);
    }
    assert_eq!(read(&tenant, "closed").await["last_failures"], json!([]));
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[("REQUEST_TIMEOUT", "1s"), ("REDIS_COMMAND_TIMEOUT", "300ms")]);
    let tenant = app.tenant().await;
    prepare(&tenant).await;
    redis.stop();
    until_degraded(&tenant).await;
    all_as_last_known(&tenant).await;
    redis.go_on();
    until_asked_again(&tenant).await;
}

#[tokio::test]
async fn a_rest_server_that_is_gone_leaves_the_last_known_states() {
    let redis = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let app = App::over_rest(redis, double.clone(), &[]);
    let tenant = app.tenant().await;
    prepare(&tenant).await;
    double.always(Fault::HangUpBefore);
    until_degraded(&tenant).await;
    all_as_last_known(&tenant).await;
    double.heal();
    until_asked_again(&tenant).await;
}

#[tokio::test]
async fn a_report_whose_answer_is_lost_is_answered_from_memory_and_never_sent_again() {
    let redis = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let app = App::over_rest(redis, double.clone(), &[]);
    let tenant = app.tenant().await;
    fail(&tenant, "b", 1).await;
    double.always(Fault::HangUpAfter);
    let told = json!({"outcome": "failure", "count": 2, "instance": "lost"});
    let answer = from_memory(&tenant, &format!("{}/report", at("b")), Some(told)).await;
    assert_eq!(answer["state"], "closed");
    assert!(double.injected(&Fault::HangUpAfter) > 0, "nothing was lost");
    double.heal();
    until_asked_again(&tenant).await;
    let breaker = read(&tenant, "b").await;
    assert_eq!(breaker["counters"]["consecutive_failures"], 3, "it counted, once: {breaker}");
}
