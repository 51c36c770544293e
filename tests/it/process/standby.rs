//! A server that is told to stop while it stands in for its backend.

use super::Process;
use crate::harness::app::{ADMIN_KEY, Caller};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;

/// A server, and a tenant's key that it knows.
async fn serve(redis: &RedisServer, delay: &str) -> (Process, Caller) {
    let url = redis.url();
    let variables =
        [("REDIS_URL", &*url), ("ADMIN_API_KEY", ADMIN_KEY), ("SESSION_FALLBACK", "memory"), ("SHUTDOWN_DELAY", delay)];
    let mut process = Process::serve(&variables);
    let admin = process.anyone().with("authorization", &format!("Bearer {ADMIN_KEY}"));
    admin.post("/admin/v1/tenants", json!({"id": "acme"})).await;
    let key = admin.post("/admin/v1/tenants/acme/keys", json!({"scopes": ["*"]})).await.expect(StatusCode::CREATED);
    let tenant = process.anyone().with("x-api-key", key["key"].as_str().unwrap());
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    (process, tenant)
}

/// Two sessions and one revocation that no Redis knows of.
async fn hold(tenant: &Caller) -> Vec<String> {
    let mut made = Vec::new();
    while made.len() < 2 {
        let answer = tenant.post("/v1/sessions", json!({"user_id": "u"})).await;
        if answer.status == StatusCode::CREATED {
            made.push(format!("/v1/sessions/{}", answer.json()["id"].as_str().unwrap()));
        }
    }
    tenant.delete("/v1/users/v/sessions").await.expect(StatusCode::OK);
    made
}

#[tokio::test]
async fn what_only_the_process_knew_is_counted_when_it_is_lost() {
    let redis = RedisServer::start_durable();
    let (process, tenant) = serve(&redis, "0").await;
    redis.kill();
    hold(&tenant).await;
    let (code, _, log) = process.terminate();
    assert_eq!(code, Some(0));
    let line = log.lines().find(|line| line.contains("it is lost")).expect(&log);
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["sessions"], &line["revocations"]), (&json!("ERROR"), &json!(2), &json!(1)));
}

#[tokio::test]
async fn what_is_on_its_way_back_when_it_is_told_to_stop_arrives() {
    let redis = RedisServer::start_durable();
    let (process, tenant) = serve(&redis, "4s").await;
    redis.kill();
    let made = hold(&tenant).await;
    process.signal();
    redis.restart();
    let (code, _, log) = process.ends();
    assert!(code == Some(0) && !log.contains("it is lost"), "{log}");
    let (_process, tenant) = serve(&redis, "0").await;
    for session in made {
        tenant.get(&session).await.expect(StatusCode::OK);
    }
}
