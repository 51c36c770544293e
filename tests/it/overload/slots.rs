//! Slots of the whole process.

use super::{IN_FLIGHT, PATIENCE, SLOW, Unfinished, metric, tenant, turned_away, until};
use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::raw::{Raw, exchange};
use crate::harness::redis_server::RedisServer;
use agentapi::base::id;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
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
async fn whoever_asks_for_health_while_the_backend_hangs_hears_so_soon_and_in_any_crowd() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(redis, &[&SLOW[..], &[("REDIS_URL", &url), ("MAX_IN_FLIGHT", "1")]].concat());
    proxy.set(Mode::Hold);
    let ends = Arc::new(AtomicBool::new(false));
    let crowd: Vec<_> = (0..200)
        .map(|_| {
            let (anyone, ends) = (app.anyone(), ends.clone());
            tokio::spawn(async move {
                while !ends.load(SeqCst) {
                    let answer = anyone.get("/status").await;
                    assert!(answer.header("retry-after").is_empty(), "{answer:?}");
                    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                        assert_eq!(answer.json()["redis_status"], "unhealthy");
                        return;
                    }
                }
                panic!("it never heard");
            })
        })
        .collect();
    // Others do not stay for the answer, each when its turn comes.
    for _ in 0..50 {
        let mut gone = Raw::connect(&app.base);
        assert!(gone.send(b"GET /status HTTP/1.1\r\nhost: a\r\n\r\n"));
    }
    let begun = Instant::now();
    for _ in 0..20 {
        for path in ["/health/live", "/metrics", "/docs", "/openapi.json", "/health"] {
            assert_eq!(app.anyone().get(path).await.status, StatusCode::OK, "{path}");
        }
        app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    }
    for request in crowd {
        tokio::time::timeout(PATIENCE, request).await.expect("an answer").unwrap();
    }
    ends.store(true, SeqCst);
    // The backend itself is given 50 s.
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(proxy.counts().held.load(SeqCst) > 0, "the backend was held");
    let ready = app.anyone().get("/health/ready").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready["checks"][0]["status"], "unavailable");
    proxy.set(Mode::Pass);
    while app.anyone().get("/health/ready").await.status != StatusCode::OK {
        assert!(begun.elapsed() < 2 * PATIENCE, "it stays red");
    }
}

#[tokio::test]
async fn a_flood_of_keys_that_nobody_has_leaves_room_for_those_who_are_known() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(redis, &[&SLOW[..], &[("REDIS_URL", &url), ("MAX_IN_FLIGHT", "8")]].concat());
    let known = tenant(&app, "known", Some(8)).await;
    known.post("/v1/sessions", json!({"user_id": "u1", "id": "s1"})).await.expect(StatusCode::CREATED);
    proxy.set(Mode::Delay(Duration::from_millis(50)));
    let ends = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..64)
        .map(|_| {
            let (anyone, ends) = (app.anyone(), ends.clone());
            tokio::spawn(async move {
                while !ends.load(SeqCst) {
                    let key = well_formed_key();
                    let answer = anyone.with("x-api-key", &key).get("/v1/sessions").await;
                    assert!(matches!(answer.status.as_u16(), 401 | 503), "{answer:?}");
                }
            })
        })
        .collect();
    let begun = Instant::now();
    while metric(&app, "agentapi_http_overload_refusals_total{reason=\"unknown_keys\"}").await < 10 {
        assert!(begun.elapsed() < PATIENCE, "none of them was refused");
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        known.get("/v1/sessions/s1").await.expect(StatusCode::OK);
    }
    ends.store(true, SeqCst);
    for caller in flood {
        caller.await.unwrap();
    }
    until(&app, "agentapi_http_unknown_keys", 0).await;
    until(&app, IN_FLIGHT, 0).await;
}

/// A key that nobody has and that must be asked for.
fn well_formed_key() -> String {
    let mut key = format!("agk_{}", id::random_base62(59).unwrap());
    key.extend(id::checksum(&key));
    key
}
