//! Tokens that end: on memory, whose clock can be moved, and once on the others.

use super::{at, lease, put, read};
use crate::api::suite;
use crate::harness::app::{App, On};
use crate::harness::backend::Backend;
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

suite! {
    a_token_without_a_refresh_token_ends_and_its_secrets_are_destroyed
}

/// Reads until it is refused, on a clock of its own.
async fn a_token_without_a_refresh_token_ends_and_its_secrets_are_destroyed(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "ends", json!({"access_token": "canary", "expires_in": "1s"})).await;
    put(&tenant, "u", "stays", json!({"access_token": "a", "refresh_token": "r", "expires_in": "1s"})).await;
    app.clock.advance(Duration::from_secs(1));
    let begun = Instant::now();
    while tenant.get(&at("u", "ends")).await.status == StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tenant.get(&at("u", "ends")).await.refused(410, "token_expired");
    tenant.post(&format!("{}/lease", at("u", "ends")), json!({})).await.refused(410, "token_expired");
    let list = tenant.get("/v1/tokens/u").await.expect(StatusCode::OK);
    let providers: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["provider"].clone()).collect();
    assert_eq!(providers, ["stays"], "what has ended is cleaned up");
    assert_eq!(read(&tenant, "u", "stays").await["access_token"], "a", "this one can be refreshed");
    assert_eq!(lease(&tenant, "u", "stays").await["granted"], true);
    if let Some(redis) = &app.redis {
        let raw = Backend::on(redis.clone());
        let keys = raw.ask(&["KEYS", &format!("*{{{}:*}}:token:u:ends", tenant.id)]).await.array().unwrap();
        assert_eq!(keys.len(), 0, "no envelope of it is left");
    }
    put(&tenant, "u", "ends", json!({"access_token": "new"})).await;
    assert_eq!(read(&tenant, "u", "ends").await["version"], 1);
}

#[tokio::test]
async fn for_a_day_it_is_remembered_that_it_has_ended() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", json!({"access_token": "a", "expires_in": "1h"})).await;
    app.clock.advance(Duration::from_secs(3599));
    read(&tenant, "u", "p").await;
    app.clock.advance(Duration::from_secs(1));
    tenant.get(&at("u", "p")).await.refused(410, "token_expired");
    app.clock.advance(Duration::from_secs(86_399));
    tenant.get(&at("u", "p")).await.refused(410, "token_expired");
    app.clock.advance(Duration::from_secs(2));
    tenant.get(&at("u", "p")).await.refused(404, "token_not_found");
}

#[tokio::test]
async fn what_nobody_looks_at_is_destroyed_all_the_same() {
    let app = App::with(On::Native, &[("SESSION_CLEANUP_INTERVAL", "1")]);
    let tenant = app.tenant().await;
    for n in 0..5 {
        put(&tenant, "u", &format!("p{n}"), json!({"access_token": "a", "expires_in": 1})).await;
    }
    put(&tenant, "u", "stays", json!({"access_token": "a"})).await;
    let raw = Backend::on(app.redis.clone().unwrap());
    let begun = Instant::now();
    loop {
        let keys = raw.ask(&["KEYS", &format!("*{{{}:*}}:token:*", tenant.id)]).await.array().unwrap();
        if keys.len() == 1 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{} are left", keys.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tenant.get(&at("u", "p3")).await.refused(410, "token_expired");
    assert_eq!(tenant.get("/v1/tokens/u").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_redis_destroys_what_has_expired_and_says_so() {
    let server = Arc::new(RedisServer::start());
    let app = App::over(server.clone(), &[("SESSION_CLEANUP_INTERVAL", "1h")]);
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", json!({"access_token": "a", "expires_in": "1s"})).await;
    let raw = Backend::on(server);
    raw.ask(&["CONFIG", "SET", "maxmemory", "1"]).await.done().unwrap();
    tenant.put(&at("u", "more"), json!({"access_token": "a"})).await.refused(507, "storage_full");
    let begun = Instant::now();
    while tenant.get(&at("u", "p")).await.status == StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tenant.get(&at("u", "p")).await.refused(410, "token_expired");
    let keys = raw.ask(&["KEYS", &format!("*{{{}:*}}:token:*", tenant.id)]).await.array().unwrap();
    assert_eq!(keys.len(), 0, "its secrets are gone");
}
