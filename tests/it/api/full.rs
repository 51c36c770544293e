//! A Redis without memory: nothing grows any more, and everything else goes on.

use super::{PATIENT, create, path, peek, still};
use crate::harness::app::App;
use crate::harness::redis_server::RedisServer;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;

async fn set(server: &RedisServer, setting: &str, value: &str) {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
    let set = redis::cmd("CONFIG").arg("SET").arg(setting).arg(value).query_async::<String>(&mut connection).await;
    assert_eq!(set.expect("it is set"), "OK");
}

/// How often it said that it is out of memory.
async fn refusals(server: &RedisServer) -> u64 {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
    let info = redis::cmd("INFO").arg("errorstats").query_async::<String>(&mut connection).await.expect("it tells");
    let count = info.lines().find_map(|line| line.strip_prefix("errorstat_OOM:count=")?.trim().parse().ok());
    count.unwrap_or(0)
}

#[tokio::test]
async fn a_full_redis_refuses_what_grows_and_nothing_else() {
    let server = Arc::new(RedisServer::start());
    let app = App::over(server.clone(), &[PATIENT[0], PATIENT[1], ("SESSION_MAX_PER_USER", "3")]);
    let tenant = app.tenant().await;
    let first = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}})).await;
    let chosen = create(&tenant, json!({"user_id": "u1", "id": "chosen", "ttl": "100ms"})).await;
    let second = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    create(&tenant, json!({"user_id": "u2"})).await;
    tenant.post(&format!("{}/extend", path(&chosen)), json!({"ttl": "1h"})).await.expect(StatusCode::OK);
    let listed = async |user: &str| {
        let listed = tenant.get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
        listed["items"].as_array().expect("items").iter().map(|item| still(item.clone())).collect::<Vec<_>>()
    };
    let before = listed("u1").await;
    assert_eq!(before.len(), 3);

    set(&server, "maxmemory", "1").await;
    // The limit is reached by the next one: what made room for it would stay gone.
    let large = "x".repeat(1000);
    for user in ["u1", "u1", "u3"] {
        tenant.post("/v1/sessions", json!({"user_id": user})).await.refused(507, "storage_full");
        for id in ["new 1", "new 2", "new 3"] {
            let body = json!({"user_id": user, "id": id});
            tenant.post("/v1/sessions", body).await.refused(507, "storage_full");
            let put = tenant.put(&format!("/v1/sessions/{}", super::segment(id)), json!({"user_id": user})).await;
            put.refused(507, "storage_full");
        }
    }
    for session in [&first, &chosen] {
        tenant.patch(&path(session), json!({"data": {"large": large}})).await.refused(507, "storage_full");
    }
    assert_eq!(listed("u1").await, before, "nothing was changed");
    assert_eq!(listed("u3").await.len(), 0);
    assert_eq!(still(tenant.get(&peek(&first)).await.expect(StatusCode::OK)), still(first.clone()));

    // A use, a new id and a refresh keep what is there.
    tenant.get(&path(&chosen)).await.expect(StatusCode::OK);
    tenant.post(&format!("{}/extend", path(&chosen)), json!({})).await.expect(StatusCode::OK);
    let rotated = tenant.send(Method::POST, &format!("{}/rotate", path(&first)), None).await.expect(StatusCode::OK);
    let refresh = json!({"refresh_token": second["refresh_token"]});
    tenant.post("/v1/sessions/refresh", refresh).await.expect(StatusCode::OK);
    tenant.delete(&path(&rotated)).await.expect(StatusCode::NO_CONTENT);
    tenant.get(&path(&rotated)).await.refused(404, "session_not_found");
    assert_eq!(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)["revoked"], 2);
    assert_eq!(listed("u1").await.len(), 0);
    assert_eq!(listed("u2").await.len(), 1);

    assert_eq!(app.anyone().get("/health/ready").await.status, StatusCode::OK, "it serves what it can");
    assert!(refusals(&server).await > 10, "Redis said so each time");

    set(&server, "maxmemory", "0").await;
    create(&tenant, json!({"user_id": "u1"})).await;
}
