//! What operators look at: health and metrics.

use crate::harness::app::{Answer, App, Caller, On};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The status, without what differs each time.
#[track_caller]
fn status(answer: &Answer, expected: StatusCode) -> Value {
    let mut body = answer.expect(expected);
    assert_eq!(answer.header("cache-control"), "no-store");
    let members = body.as_object_mut().unwrap();
    assert!(members.remove("uptime_s").unwrap().is_u64());
    assert_eq!(members.remove("version").unwrap(), env!("CARGO_PKG_VERSION"));
    body
}

#[tokio::test]
async fn a_healthy_server_says_so_on_each_backend() {
    for (on, transport, redis) in
        [(On::Memory, "memory", "not_initialized"), (On::Native, "native", "healthy"), (On::Rest, "rest", "healthy")]
    {
        let app = App::on(on);
        let anyone = app.anyone();
        let healthy = json!({"status": "ok", "transport": transport, "redis_status": redis});
        assert_eq!(status(&anyone.get("/status").await, StatusCode::OK), healthy);
        assert_eq!(status(&anyone.get("/health").await, StatusCode::OK), healthy);
        assert_eq!(anyone.head("/status").await.status, StatusCode::OK);
        assert_eq!(anyone.get("/health/live").await.expect(StatusCode::OK)["status"], "ok");
        let ready = anyone.get("/health/ready").await.expect(StatusCode::OK);
        assert_eq!(ready, json!({"status": "ok", "checks": [{"name": "backend", "status": "ok"}]}));
    }
}

/// Asks until the answer has this status; what health says may be half a second old.
async fn until(caller: &Caller, path: &str, wanted: StatusCode) -> Answer {
    let started = Instant::now();
    loop {
        let answer = caller.get(path).await;
        if answer.status == wanted {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{path} never became {wanted}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_without_its_backend_lives_and_is_not_ready_until_it_is_back() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[]);
    let anyone = app.anyone();
    until(&anyone, "/health/ready", StatusCode::OK).await;
    redis.kill();
    let ready = until(&anyone, "/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(
        ready.json(),
        json!({"status": "unavailable", "checks": [{"name": "backend", "status": "unavailable"}]})
    );
    let down = json!({"status": "unavailable", "transport": "native", "redis_status": "unhealthy"});
    assert_eq!(status(&anyone.get("/status").await, StatusCode::SERVICE_UNAVAILABLE), down);
    assert_eq!(status(&anyone.get("/health").await, StatusCode::OK), down);
    for path in ["/health/live", "/metrics", "/docs", "/openapi.json"] {
        assert_eq!(anyone.get(path).await.status, StatusCode::OK, "{path}");
    }
    redis.restart();
    until(&anyone, "/health/ready", StatusCode::OK).await;
    until(&anyone, "/status", StatusCode::OK).await;
}
