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

#[tokio::test]
async fn metrics_count_requests_and_name_nobody() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let body = json!({"user_id": "canary-user", "id": "canary-id", "data": {"canary-data": 1}});
    tenant.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    for path in ["/v1/sessions/canary-id", "/v1/users/canary-user/sessions", "/v1/sessions", "/canary-path"] {
        tenant.get(path).await;
    }
    let answer = app.anyone().get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for secret in ["canary", &tenant.id, &tenant.secret, &tenant.key_id] {
        assert!(!answer.text.contains(secret), "{secret} is in\n{}", answer.text);
    }
    let line = answer.text.lines().find(|line| {
        line.contains("answers_total{")
            && line.contains(r#"path="/v1/sessions/{id}""#)
            && line.contains(r#"method="GET""#)
            && line.contains("2xx")
    });
    assert!(line.is_some_and(|line| line.ends_with(" 1")), "{line:?} in\n{}", answer.text);
    for line in answer.text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()), "{line}");
    }
}

#[tokio::test]
async fn metrics_are_openmetrics_for_those_who_ask() {
    let app = App::on(On::Memory);
    let answer = app
        .anyone()
        .with("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        .get("/metrics")
        .await;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
}

#[tokio::test]
async fn a_metrics_token_protects_the_metrics_and_nothing_else() {
    let app = App::with(On::Memory, &[("METRICS_TOKEN", "a-token-for-metrics")]);
    let tenant = app.tenant().await;
    let as_bearer = |token: &str| app.anyone().with("authorization", &format!("Bearer {token}"));
    for stranger in [app.anyone(), as_bearer(""), as_bearer("a-token-for-metric"), (*tenant).clone(), app.admin()] {
        let answer = stranger.get("/metrics").await;
        answer.refused(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(as_bearer("a-token-for-metrics").get("/metrics").await.status, StatusCode::OK);
    as_bearer("a-token-for-metrics").get("/v1/sessions").await.refused(401, "unauthorized");
    app.anyone().get("/status").await.expect(StatusCode::OK);
}
