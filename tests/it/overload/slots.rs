//! Slots of the whole process.

use super::{IN_FLIGHT, PATIENCE, SLOW, Unfinished, metric, tenant, turned_away, until};
use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::raw::{Raw, exchange};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

#[tokio::test]
async fn whoever_comes_beyond_the_bound_is_refused_at_once_and_nothing_is_done_for_him() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(redis, &[&SLOW[..], &[("REDIS_URL", &url), ("MAX_IN_FLIGHT", "4"), ("WORKERS", "2")]].concat());
    let tenant = tenant(&app, "acme", Some(4)).await;
    tenant.post("/v1/sessions", json!({"user_id": "u1", "id": "s1"})).await.expect(StatusCode::CREATED);
    proxy.set(Mode::Hold);
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let tenant = tenant.clone();
            tokio::spawn(async move { tenant.get("/v1/sessions/s1").await })
        })
        .collect();
    until(&app, IN_FLIGHT, 4).await;

    let begun = Instant::now();
    turned_away(&tenant.post("/v1/sessions", json!({"user_id": "u1", "id": "s2"})).await, "overloaded");
    turned_away(&app.admin().get("/admin/v1/tenants").await, "overloaded");
    turned_away(&app.anyone().get("/v1/sessions").await, "overloaded");
    let unread = b"POST /v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
    assert!(exchange(&app.base, unread).starts_with("HTTP/1.1 503"), "before its body is read");
    for path in ["/health/live", "/metrics", "/openapi.json", "/docs"] {
        assert_eq!(app.anyone().get(path).await.status, StatusCode::OK, "{path}");
    }
    app.anyone().get("/nothing-here").await.refused(404, "not_found");
    assert!(begun.elapsed() < PATIENCE, "they waited for the backend: {:?}", begun.elapsed());
    assert!(proxy.counts().held.load(SeqCst) > 0, "the backend was held");
    assert_eq!(metric(&app, "agentapi_http_overload_refusals_total{reason=\"in_flight\"}").await, 4);
    assert_eq!(metric(&app, "agentapi_http_overload_refusal_duration_seconds_count").await, 4);
    assert!(waiting.iter().all(|request| !request.is_finished()));

    proxy.set(Mode::Pass);
    for request in waiting {
        request.await.unwrap().expect(StatusCode::OK);
    }
    until(&app, IN_FLIGHT, 0).await;
    tenant.get("/v1/sessions/s2").await.refused(404, "session_not_found");
    tenant.post("/v1/sessions", json!({"user_id": "u1", "id": "s2"})).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_client_that_is_refused_keeps_its_connection() {
    let app = App::with(On::Memory, &[&SLOW[..], &[("MAX_IN_FLIGHT", "1")]].concat());
    let secret = app.tenant().await.secret;
    let credential = format!("x-api-key: {secret}");
    let held = Unfinished::create(&app, &credential, "s1");
    until(&app, IN_FLIGHT, 1).await;
    let mut connection = Raw::connect(&app.base);
    for request in [
        format!("GET /v1/sessions HTTP/1.1\r\nhost: a\r\n{credential}\r\n\r\n"),
        format!("POST /v1/sessions HTTP/1.1\r\nhost: a\r\n{credential}\r\ncontent-length: 2\r\n\r\n{{}}"),
    ] {
        for _ in 0..3 {
            assert!(connection.send(request.as_bytes()));
            let answer = connection.answer();
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(!answer.to_lowercase().contains("connection: close"), "{answer}");
        }
    }
    assert_eq!(held.finish(), "HTTP/1.1 201 Created");
    until(&app, IN_FLIGHT, 0).await;
    assert!(connection.send(format!("GET /v1/sessions/s1 HTTP/1.1\r\nhost: a\r\n{credential}\r\n\r\n").as_bytes()));
    assert!(connection.answer().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_slot_comes_back_however_its_request_ends() {
    let app = App::with(On::Memory, &[("REQUEST_TIMEOUT", "3s"), ("MAX_IN_FLIGHT", "2")]);
    let id = app.tenant().await;
    let credential = format!("x-api-key: {}", id.secret);
    // More often than there are slots: one that is lost would be missed.
    for round in 0..3 {
        let served = Unfinished::create(&app, &credential, &format!("s{round}"));
        until(&app, IN_FLIGHT, 1).await;
        assert_eq!(served.finish(), "HTTP/1.1 201 Created");
        until(&app, IN_FLIGHT, 0).await;

        id.post("/v1/sessions", json!({"nonsense": true})).await.refused(422, "validation_failed");
        app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
        until(&app, IN_FLIGHT, 0).await;

        let gone = Unfinished::create(&app, &credential, "gone");
        until(&app, IN_FLIGHT, 1).await;
        drop(gone);
        until(&app, IN_FLIGHT, 0).await;
    }
    let mut late = Unfinished::create(&app, &credential, "late");
    until(&app, IN_FLIGHT, 1).await;
    assert_eq!(late.status(), "HTTP/1.1 408 Request Timeout");
    until(&app, IN_FLIGHT, 0).await;
    id.get("/v1/sessions/gone").await.refused(404, "session_not_found");
}

#[tokio::test]
async fn a_crowd_at_the_public_endpoints_takes_no_tenants_slot() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(redis, &[&SLOW[..], &[("REDIS_URL", &url), ("MAX_IN_FLIGHT", "1")]].concat());
    proxy.set(Mode::Hold);
    let crowd: Vec<_> = (0..80)
        .map(|_| {
            let anyone = app.anyone();
            // What was known of the backend is old by the time the last of them asks.
            tokio::spawn(async move {
                loop {
                    let answer = anyone.get("/status").await;
                    if answer.status != StatusCode::OK || answer.header("retry-after") == "1" {
                        return answer;
                    }
                }
            })
        })
        .collect();
    let begun = Instant::now();
    while crowd.iter().filter(|request| request.is_finished()).count() < 16 {
        assert!(begun.elapsed() < PATIENCE, "too few were refused");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    for request in crowd {
        if request.is_finished() {
            turned_away(&request.await.unwrap(), "overloaded");
        } else {
            request.abort();
        }
    }
    proxy.set(Mode::Pass);
    while app.anyone().get("/metrics").await.status != StatusCode::OK {
        assert!(begun.elapsed() < 2 * PATIENCE, "their slots do not come back");
    }
    // The one that asks is one of them.
    until(&app, "agentapi_http_in_flight_public", 1).await;
}
