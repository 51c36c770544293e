//! Each thing that happens is counted once.

use super::{shown, two_ways, use_it};
use crate::harness::app::{App, On};
use crate::harness::backend::{native, rest};
use crate::harness::listening::{over, resumed};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use agentapi::db::transport::usage::Used;
use agentapi::db::transport::{RedisTransport, Subscriber};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;

const REQUESTS: &str = "http_server_request_duration_seconds_count";

#[tokio::test]
async fn each_request_is_counted_once_by_route_and_status() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    tenant.post("/v1/sessions", json!({"user_id": "u", "id": "s"})).await.expect(StatusCode::CREATED);
    for _ in 0..3 {
        tenant.get("/v1/sessions/s").await.expect(StatusCode::OK);
        tenant.get("/v1/sessions/t").await.refused(404, "session_not_found");
        tenant.get("/nowhere").await.refused(404, "not_found");
        tenant.send(reqwest::Method::PATCH, "/v1/sessions", None).await.refused(405, "method_not_allowed");
    }
    let now = shown(&app).await;
    let of = |method, route, status| {
        let labels = [("http_request_method", method), ("http_route", route), ("http_response_status_code", status)];
        now.sum(REQUESTS, &labels)
    };
    assert_eq!(of("GET", "/v1/sessions/{id}", "200"), 3.0);
    assert_eq!(of("GET", "/v1/sessions/{id}", "404"), 3.0);
    assert_eq!((of("GET", "", "404"), of("PATCH", "", "405")), (3.0, 3.0));
    assert_eq!(of("POST", "/v1/sessions", "201"), 1.0);
    // With the two that made the tenant.
    assert_eq!(now.sum(REQUESTS, &[]), 15.0);
    let active = |method| now.sum("http_server_active_requests", &[("http_request_method", method)]);
    // The one that asks.
    assert_eq!((active("GET"), active("POST")), (1.0, 0.0));
}

#[tokio::test]
async fn what_becomes_of_sessions_is_counted_once_on_each_backend() {
    for on in [On::Memory, On::Native, On::Rest] {
        let app = App::with(on, &[("SESSION_MAX_PER_USER", "3")]);
        let tenant = app.tenant().await;
        let create = async |user: &str| {
            let made = tenant.post("/v1/sessions", json!({"user_id": user, "refresh": true})).await;
            made.expect(StatusCode::CREATED)
        };
        for _ in 0..5 {
            create("u").await;
        }
        let made = create("v").await;
        let token = json!({"refresh_token": made["refresh_token"]});
        let refreshed = tenant.post("/v1/sessions/refresh", token).await.expect(StatusCode::OK);
        let path = format!("/v1/sessions/{}", refreshed["id"].as_str().expect("an id"));
        assert_eq!(tenant.delete(&path).await.status, StatusCode::NO_CONTENT);
        tenant.delete(&path).await.refused(404, "session_not_found");
        let revoked = tenant.delete("/v1/users/u/sessions").await.expect(StatusCode::OK);
        assert_eq!(revoked["revoked"], 3, "{revoked}");
        let now = shown(&app).await;
        let counts = ["created", "evicted", "refreshed", "revoked", "expired", "unreadable"]
            .map(|what| now.sum(&format!("agentapi_sessions_{what}_total"), &[]));
        assert_eq!(counts, [6.0, 2.0, 1.0, 4.0, 0.0, 0.0], "{on:?}");
    }
}

#[tokio::test]
async fn tokens_flags_limits_and_caches_are_counted_once() {
    let app = App::on(On::Memory);
    use_it(&app).await;
    let now = shown(&app).await;
    assert_eq!(
        (now.sum("agentapi_tokens_sealed_total", &[]), now.sum("agentapi_tokens_opened_total", &[])),
        (1.0, 1.0)
    );
    assert_eq!(now.sum("agentapi_flag_evaluations_total", &[("reason", "STATIC")]), 1.0);
    assert_eq!(now.sum("agentapi_flag_evaluations_total", &[]), 1.0);
    let lookups = |cache, result| now.sum("agentapi_cache_lookups_total", &[("cache", cache), ("result", result)]);
    assert_eq!(lookups("identity", "miss"), 1.0);
    assert!(lookups("identity", "hit") > 5.0);
    assert_eq!(lookups("flags", "miss"), 1.0);
}

#[tokio::test]
async fn calls_and_commands_are_counted_at_each_door_they_pass() {
    let app = App::on(On::Native);
    let tenant = app.tenant().await;
    tenant.post("/v1/sessions", json!({"user_id": "u", "id": "s"})).await.expect(StatusCode::CREATED);
    let before = shown(&app).await;
    for _ in 0..20 {
        tenant.get("/v1/sessions/s?touch=false").await.expect(StatusCode::OK);
    }
    let now = shown(&app).await;
    for door in ["store", "native"] {
        let labels = [("door", door), ("db_operation_name", "hash"), ("outcome", "ok")];
        let more = |name: &str| now.sum(name, &labels) - before.sum(name, &labels);
        assert_eq!(more("agentapi_backend_commands_total"), 20.0, "{door}");
        assert_eq!(more("db_client_operation_duration_seconds_count"), 20.0, "{door}");
    }
    let of = |name: &str| now.sum(name, &[("door", "native")]);
    assert_eq!((of("agentapi_backend_connections_limit"), of("agentapi_backend_breaker_open")), (10.0, 0.0));
    let connections = of("agentapi_backend_connections");
    assert!((1.0..=10.0).contains(&connections), "{connections}");
}

#[tokio::test]
async fn who_listens_is_counted_for_as_long_as_they_do() {
    async fn listen(backend: Arc<impl RedisTransport + Subscriber + Used>) {
        let system = over(backend.clone(), backend.clone(), "t");
        for _ in 0..2 {
            let listeners = [resumed(&system).await, resumed(&system).await];
            assert_eq!(backend.usage().listeners, 2);
            drop(listeners);
            assert_eq!(backend.usage().listeners, 0);
        }
    }
    let redis = RedisServer::shared();
    let double = RestDouble::start(redis.port(), "token");
    listen(Arc::new(native(&redis.url()))).await;
    listen(Arc::new(rest(&double.url(), "token"))).await;
}

#[tokio::test]
async fn scripts_that_the_backend_has_forgotten_are_counted() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[]);
    let tenant = app.tenant().await;
    let misses = async || shown(&app).await.sum("agentapi_backend_script_misses_total", &[("door", "native")]);
    let create = async || tenant.post("/v1/sessions", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
    create().await;
    let before = misses().await;
    create().await;
    assert_eq!(misses().await, before, "it is known");
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut connection).await.expect("an answer");
    create().await;
    assert_eq!(misses().await, before + 1.0);
}

#[tokio::test]
async fn the_backend_is_asked_about_itself_once_however_often_the_metrics_are_read() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[]);
    for _ in 0..20 {
        shown(&app).await;
    }
    let now = shown(&app).await;
    assert!(now.sum("agentapi_redis_memory_used_bytes", &[]) > 100_000.0);
    assert!(!now.0.contains_key("agentapi_redis_memory_limit_bytes"), "there is no limit");
    assert!(now.0.contains_key("agentapi_redis_keyspace_hits_total"));
    let info = now.sum("agentapi_backend_commands_total", &[("door", "native"), ("db_operation_name", "server")]);
    let (client, mut commands) = (redis::Client::open(redis.url()).expect("a URL"), String::new());
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    commands +=
        &redis::cmd("INFO").arg("commandstats").query_async::<String>(&mut connection).await.expect("an answer");
    assert!(commands.contains("cmdstat_info:calls=1,"), "{info}: {commands}");
    let memory = shown(&App::on(On::Memory)).await;
    assert!(memory.0.contains_key("agentapi_redis_keys") && !memory.0.contains_key("agentapi_redis_memory_used_bytes"));
}

#[tokio::test]
async fn failover_has_one_state_at_a_time() {
    let (app, _double) = two_ways(&[]);
    let now = shown(&app).await;
    assert_eq!(now.sum("agentapi_backend_failover_state", &[]), 1.0);
    assert_eq!(now.0["agentapi_backend_failover_state"].samples.len(), 4);
    assert!(!shown(&App::on(On::Native)).await.0.contains_key("agentapi_backend_failover_state"));
}
