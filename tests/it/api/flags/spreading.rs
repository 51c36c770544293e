//! A change reaches every server within a second, whether or not anybody is told of it.

use super::{evaluate, for_plan, put, switch};
use crate::harness::app::{App, Caller};
use crate::harness::backend::Backend;
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Two servers over one backend, and the same tenant before each.
struct Two {
    apps: [App; 2],
    callers: [Caller; 2],
    tenant: String,
    prefix: String,
}

async fn two(over_rest: bool) -> Two {
    let redis = RedisServer::shared();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let prefix = format!("spread{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let variables = [("REDIS_KEY_PREFIX", &*prefix)];
    let start = || match over_rest {
        false => App::over(redis.clone(), &variables),
        true => App::over_rest(redis.clone(), Arc::new(RestDouble::start(redis.port(), "rest-token")), &variables),
    };
    let apps = [start(), start()];
    let tenant = apps[0].tenant().await;
    let caller = |app: &App| app.anyone().with("x-api-key", &tenant.secret);
    Two { callers: [caller(&apps[0]), caller(&apps[1])], tenant: tenant.id.clone(), apps, prefix }
}

/// How long it takes until a server gives this reason for a flag.
async fn until(caller: &Caller, key: &str, reason: &str) -> Duration {
    let began = Instant::now();
    loop {
        let answer = caller.post(&format!("/ofrep/v1/evaluate/flags/{key}"), json!({})).await;
        if answer.json()["reason"] == reason {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it never hears of it: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_change_reaches_the_other_server(two: &Two) {
    let [one, other] = &two.callers;
    put(one, "f", switch()).await;
    assert_eq!(evaluate(other, "f", json!({})).await["reason"], "STATIC", "what it never knew it reads");
    for _ in 0..3 {
        one.put("/v1/flags/f", for_plan("pro")).await.expect(StatusCode::OK);
        assert_eq!(evaluate(one, "f", json!({})).await["reason"], "TARGETING_MATCH", "at once where it was made");
        until(other, "f", "TARGETING_MATCH").await;
        one.put("/v1/flags/f", switch()).await.expect(StatusCode::OK);
        until(other, "f", "STATIC").await;
    }
    one.delete("/v1/flags/f").await.expect(StatusCode::NO_CONTENT);
    let began = Instant::now();
    while other.post("/ofrep/v1/evaluate/flags/f", json!({})).await.status != StatusCode::NOT_FOUND {
        assert!(began.elapsed() < Duration::from_secs(20), "it never hears of it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_change_reaches_another_server_over_redis() {
    a_change_reaches_the_other_server(&two(false).await).await;
}

#[tokio::test]
async fn a_change_reaches_another_server_over_rest() {
    a_change_reaches_the_other_server(&two(true).await).await;
}

#[tokio::test]
async fn a_server_that_nobody_asked_for_a_while_does_not_answer_what_was() {
    let two = two(false).await;
    let [one, other] = &two.callers;
    put(one, "f", switch()).await;
    evaluate(other, "f", json!({})).await;
    for reason in ["TARGETING_MATCH", "STATIC"] {
        // Longer than a look counts, and nobody asks meanwhile: there is no clock to be moved, the servers' steady ones count.
        let flag = if reason == "STATIC" { switch() } else { for_plan("pro") };
        one.put("/v1/flags/f", flag).await.expect(StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(evaluate(other, "f", json!({})).await["reason"], reason);
    }
}

#[tokio::test]
async fn a_backend_that_lost_everything_is_noticed() {
    let two = two(false).await;
    let [one, other] = &two.callers;
    put(one, "f", switch()).await;
    for caller in &two.callers {
        evaluate(caller, "f", json!({})).await;
    }
    // A look has to have seen the note before it goes.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for caller in &two.callers {
        evaluate(caller, "f", json!({})).await;
    }
    let redis = Backend::on(two.apps[0].redis.clone().unwrap());
    for key in
        [format!("{}:{{{}:00}}:flagset", two.prefix, two.tenant), format!("{}:{{_system:00}}:flag-changes", two.prefix)]
    {
        assert_eq!(redis.say(["DEL", &*key].map(str::to_owned)).await.int(), Ok(1), "{key}");
    }
    let began = Instant::now();
    for caller in &two.callers {
        while caller.post("/ofrep/v1/evaluate/flags/f", json!({})).await.status != StatusCode::NOT_FOUND {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on with what is lost");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    put(other, "f", for_plan("pro")).await;
    until(one, "f", "TARGETING_MATCH").await;
}
