//! Where things lie, and what a thief of the whole storage would find.

use super::{app_with, create, path};
use crate::harness::app::{ADMIN_KEY, App, On, Tenant};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use redis::AsyncCommands;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Everything that a Redis holds: each key's name and content, as bytes.
async fn dump(server: &RedisServer) -> Vec<(String, Vec<u8>)> {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
    let (mut cursor, mut keys) = (0_u64, BTreeSet::new());
    loop {
        let step = redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(1000).query_async(&mut connection).await;
        let (next, found): (u64, Vec<String>) = step.expect("a page of keys");
        keys.extend(found);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut all = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.expect("a type");
        let parts: Vec<Vec<u8>> = match kind.as_str() {
            "string" => vec![connection.get(&key).await.expect("a string")],
            "hash" => connection.hgetall(&key).await.expect("a hash"),
            "zset" => connection.zrange(&key, 0, -1).await.expect("a sorted set"),
            "set" => connection.smembers(&key).await.expect("a set"),
            "list" => connection.lrange(&key, 0, -1).await.expect("a list"),
            other => panic!("{key} is a {other}, which this test cannot read"),
        };
        all.push((key, parts.join(&b'\n')));
    }
    all
}

fn has(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Does with a session all that can be done, and notes every secret on the way.
async fn walk(app: &App, tenant: &Tenant, secrets: &mut BTreeSet<String>) {
    let mut note = |answer: &Value| {
        for member in ["id", "refresh_token"] {
            secrets.extend(answer[member].as_str().map(str::to_owned));
        }
    };
    let keyed = tenant.with("idempotency-key", "idempotency-canary");
    let body = json!({"user_id": "plain-user", "data": {"plain": "data"}, "refresh": true});
    let made = keyed.post("/v1/sessions", body.clone()).await.expect(StatusCode::CREATED);
    note(&made);
    keyed.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    let chosen = create(tenant, json!({"user_id": "plain-user", "id": "chosen-canary", "refresh": true})).await;
    note(&chosen);
    note(&tenant.put("/v1/sessions/put-canary", json!({"user_id": "plain-user"})).await.expect(StatusCode::CREATED));
    tenant.get(&path(&made)).await.expect(StatusCode::OK);
    tenant.patch(&path(&made), json!({"metadata": {"m": 1}})).await.expect(StatusCode::OK);
    tenant.post(&format!("{}/extend", path(&made)), json!({"ttl": "2h"})).await.expect(StatusCode::OK);
    let rotated = tenant.send(Method::POST, &format!("{}/rotate", path(&made)), None).await.expect(StatusCode::OK);
    note(&rotated);
    for token in [&made, &chosen] {
        let refreshed = tenant.post("/v1/sessions/refresh", json!({"refresh_token": token["refresh_token"]})).await;
        let refreshed = refreshed.expect(StatusCode::OK);
        note(&refreshed);
        let next = json!({"refresh_token": refreshed["refresh_token"]});
        note(&tenant.post("/v1/sessions/refresh", next).await.expect(StatusCode::OK));
    }
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    secrets.insert(tenant.secret.clone());
    let rotate = format!("/admin/v1/tenants/{}/keys/{}/rotate", tenant.id, tenant.key_id);
    let admin = app.admin().with("idempotency-key", "operator-canary");
    let key = admin.post(&rotate, json!({"overlap": "1h"})).await.expect(StatusCode::CREATED);
    secrets.insert(key["key"].as_str().expect("the new key").to_owned());
    secrets.extend(["idempotency-canary", "operator-canary", ADMIN_KEY].map(str::to_owned));
}

/// The parts of a secret that must not be stored either: whoever has them has nearly all of it.
fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    parts.extend(secret.strip_prefix("ses_").and_then(|rest| rest.get(2..)).map(str::to_owned));
    if let Some(both) = secret.strip_prefix("rft_") {
        parts.extend([both[2..45].to_owned(), both[45..88].to_owned()]);
    }
    parts
}

async fn a_stolen_dump_holds_no_secret(app: App, server: &RedisServer) {
    let tenant = app.tenant().await;
    let mut secrets = BTreeSet::new();
    walk(&app, &tenant, &mut secrets).await;
    assert!(secrets.len() >= 14, "{secrets:?}");
    let stored = dump(server).await;
    let anywhere = |text: &str| stored.iter().find(|(key, content)| key.contains(text) || has(content, text));
    for plain in ["plain-user", "plain", tenant.id.as_str()] {
        assert!(anywhere(plain).is_some(), "{plain} is stored, so the dump is one");
    }
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    for session in list["items"].as_array().expect("items") {
        let fingerprint = &session["ref"].as_str().expect("a reference")[7..];
        assert!(anywhere(fingerprint).is_some(), "the dump has the sessions");
    }
    for secret in &secrets {
        for part in parts(secret) {
            assert!(anywhere(&part).is_none(), "{secret} lies in {:?}", anywhere(&part).map(|(key, _)| key));
        }
    }
}

#[tokio::test]
async fn a_stolen_dump_holds_no_secret_that_came_over_the_native_protocol() {
    let server = Arc::new(RedisServer::start());
    a_stolen_dump_holds_no_secret(App::over(server.clone(), &super::PATIENT), &server).await;
}

#[tokio::test]
async fn a_stolen_dump_holds_no_secret_that_came_over_rest() {
    let server = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(server.port(), "rest-token"));
    a_stolen_dump_holds_no_secret(App::over_rest(server.clone(), double, &super::PATIENT), &server).await;
}

#[tokio::test]
async fn sessions_kept_in_memory_never_reach_redis() {
    let server = Arc::new(RedisServer::start());
    let variables = [super::PATIENT[0], super::PATIENT[1], ("SESSION_STORAGE", "memory")];
    let app = App::over(server.clone(), &variables);
    let tenant = app.tenant().await;
    let body = json!({"user_id": "user-canary", "id": "chosen", "data": {"d": "data-canary"}, "refresh": true});
    let made = create(&tenant, body).await;
    tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.expect(StatusCode::OK);
    let list = tenant.get("/v1/users/user-canary/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"][0]["ref"], made["ref"]);
    let refreshed = tenant.post("/v1/sessions/refresh", json!({"refresh_token": made["refresh_token"]})).await;
    let refreshed = refreshed.expect(StatusCode::OK);
    assert_eq!(refreshed["data"], json!({"d": "data-canary", "n": 1}));

    let stored = dump(&server).await;
    assert!(stored.iter().any(|(key, _)| key.contains(&tenant.id)), "the tenant is in Redis");
    for (key, content) in &stored {
        assert!(!key.contains("session") && !key.contains("refresh"), "{key}");
        assert!(!has(content, "canary") && !key.contains("canary"), "{key}");
    }
    assert_eq!(tenant.delete("/v1/users/user-canary/sessions").await.expect(StatusCode::OK)["revoked"], 1);
}

#[tokio::test]
async fn sessions_in_redis_outlive_the_server_and_sessions_in_memory_do_not() {
    for (storage, status) in [("redis", StatusCode::OK), ("memory", StatusCode::NOT_FOUND)] {
        let prefix = format!("outlive-{storage}");
        let variables = [("REDIS_KEY_PREFIX", prefix.as_str()), ("SESSION_STORAGE", storage)];
        let before = app_with(On::Native, &variables);
        // Held on to, so that the shared server outlives the application.
        let _server = before.redis.clone();
        let tenant = before.tenant().await;
        let made = create(&tenant, json!({"user_id": "u1"})).await;
        let key = format!("Bearer {}", tenant.secret);
        drop(before);
        let after = app_with(On::Native, &variables);
        assert_eq!(after.anyone().with("authorization", &key).get(&path(&made)).await.status, status, "{storage}");
    }
}
