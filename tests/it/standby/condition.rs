//! How a server says that it is while it stands in, and a Redis that comes back without room.

use super::over_http::{created, from_memory, path, refused, until, until_it_stands_in, until_the_backend_serves};
use crate::harness::app::App;
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// What `/status` and `/health/ready` say.
async fn health(app: &App) -> (u16, String, u16, Value) {
    let (status, ready) = (app.anyone().get("/status").await, app.anyone().get("/health/ready").await);
    let word = status.json()["status"].as_str().unwrap_or_default().to_owned();
    (status.status.as_u16(), word, ready.status.as_u16(), ready.json())
}

#[tokio::test]
async fn a_server_that_serves_sessions_from_memory_is_ready_and_says_that_it_is_degraded() {
    let redis = Arc::new(RedisServer::start_durable());
    let app = App::over(redis.clone(), &[("SESSION_FALLBACK", "memory")]);
    let tenant = app.tenant().await;
    let well = json!({"status": "ok", "checks": [{"name": "backend", "status": "ok"}]});
    assert_eq!(health(&app).await, (200, "ok".to_owned(), 200, well.clone()));
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    redis.kill();
    until_it_stands_in(&tenant).await;
    let checks = json!([{"name": "backend", "status": "unavailable"}, {"name": "sessions", "status": "degraded"}]);
    let degraded = json!({"status": "degraded", "checks": checks});
    assert_eq!(health(&app).await, (200, "degraded".to_owned(), 200, degraded));
    let status = app.anyone().get("/status").await.json();
    assert_eq!(status["redis_status"], "unhealthy");
    // A server that knows no key can let nobody in.
    let newcomer = App::over(redis.clone(), &[("SESSION_FALLBACK", "memory")]);
    until("the outage is noticed", async || {
        newcomer.anyone().get("/v1/sessions").await;
        let (status, word, ready, checks) = health(&newcomer).await;
        assert_eq!((status, &*word, ready), (503, "unavailable", 503));
        (checks["checks"].as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;
    redis.restart();
    until_the_backend_serves(&tenant).await;
    until("it is well again", async || (health(&app).await == (200, "ok".to_owned(), 200, well.clone())).then_some(()))
        .await;
}

async fn may_take(redis: &RedisServer, bytes: &str) {
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
    let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async::<String>(&mut connection).await;
    assert_eq!(set.expect("it is set"), "OK");
}

#[tokio::test]
async fn a_redis_that_comes_back_full_is_told_what_has_ended_and_gets_the_rest_when_it_has_room() {
    let redis = Arc::new(RedisServer::start());
    let network = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", network.port());
    let app = App::over(redis.clone(), &[("REDIS_URL", &url), ("SESSION_FALLBACK", "memory")]);
    let tenant = app.tenant().await;
    let before = created(&tenant, json!({"user_id": "u"})).await;
    let (kept, of_all) =
        (created(&tenant, json!({"user_id": "k"})).await, created(&tenant, json!({"user_id": "all"})).await);
    network.set(Mode::Refuse);
    assert!(network.reset() > 0);
    let held = until_it_stands_in(&tenant).await;
    from_memory(&tenant.delete(&path(&before)).await, 204);
    from_memory(&tenant.delete("/v1/users/all/sessions").await, 200);
    may_take(&redis, "1").await;
    network.set(Mode::Pass);
    until("the backend serves what is not here", async || {
        (tenant.get(&path(&kept)).await.status == StatusCode::OK).then_some(())
    })
    .await;
    for ended in [&before, &of_all] {
        assert_eq!(tenant.get(&path(ended)).await.status, StatusCode::NOT_FOUND);
    }
    until("what is here is served from here", async || {
        let answer = tenant.get(&path(&held)).await;
        (answer.status == StatusCode::OK && answer.header("x-degraded") == "memory").then_some(())
    })
    .await;
    refused(&tenant.get("/v1/sessions").await);
    tenant.post("/v1/sessions", json!({"user_id": "u"})).await.refused(507, "storage_full");
    assert_eq!(health(&app).await.1, "degraded");
    may_take(&redis, "0").await;
    until_the_backend_serves(&tenant).await;
    let answer = tenant.get(&path(&held)).await;
    assert_eq!((answer.status, answer.header("x-degraded")), (StatusCode::OK, ""));
}
