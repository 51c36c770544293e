//! The whole server over a real Redis that is killed and comes back with what it wrote down.

use crate::harness::app::{Answer, App, Caller};
use crate::harness::redis_server::RedisServer;
use agentapi::base::env::Env;
use agentapi::config::Config;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything here may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it is never so that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn path(session: &Value) -> String {
    format!("/v1/sessions/{}", session["id"].as_str().expect("it has an id"))
}

#[track_caller]
pub fn from_memory(answer: &Answer, status: u16) -> Value {
    assert_eq!((answer.status.as_u16(), answer.header("x-degraded")), (status, "memory"), "{}", answer.text);
    if answer.text.is_empty() { Value::Null } else { answer.json() }
}

#[track_caller]
pub fn refused(answer: &Answer) {
    answer.refused(503, "backend_unavailable");
    assert_eq!(answer.header("x-degraded"), "", "a refusal comes from nowhere");
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
}

pub async fn created(caller: &Caller, body: Value) -> Value {
    caller.post("/v1/sessions", body).await.expect(StatusCode::CREATED)
}

/// Waits until sessions are made from memory: the first one that was.
pub async fn until_it_stands_in(caller: &Caller) -> Value {
    until("sessions are served from memory", async || {
        let answer = caller.post("/v1/sessions", json!({"user_id": "first", "refresh": true})).await;
        if answer.status == StatusCode::CREATED {
            return Some(from_memory(&answer, 201));
        }
        refused(&answer);
        None
    })
    .await
}

pub async fn until_the_backend_serves(caller: &Caller) {
    until("lists are served again", async || {
        let answer = caller.get("/v1/sessions").await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_served_as_far_as_it_can_be_and_everything_is_in_redis_after_it() {
    let redis = Arc::new(RedisServer::start_durable());
    let variables = [("SESSION_FALLBACK", "memory"), ("REDIS_KEY_PREFIX", "standby")];
    let app = App::over(redis.clone(), &variables);
    let tenant = app.tenant().await;
    let reader = app.tenant_with(&["sessions:read"]).await;
    let before = created(&tenant, json!({"user_id": "u", "refresh": true})).await;
    let kept = created(&tenant, json!({"user_id": "k"})).await;
    created(&tenant, json!({"user_id": "all"})).await;
    reader.get("/v1/sessions").await.expect(StatusCode::OK);

    redis.kill();
    let first = until_it_stands_in(&tenant).await;

    // What was made here.
    let here = path(&first);
    from_memory(&tenant.get(&here).await, 200);
    from_memory(&tenant.head(&here).await, 200);
    let put = tenant.put(&here, json!({"user_id": "first", "data": {"n": 1}})).await;
    assert_eq!(put.header("etag"), "\"2\"");
    from_memory(&put, 200);
    from_memory(&tenant.with("if-match", "\"1\"").patch(&here, json!({"data": {"m": 2}})).await, 412);
    from_memory(&tenant.with("if-match", "\"2\"").patch(&here, json!({"data": {"m": 2}})).await, 200);
    from_memory(&tenant.post(&format!("{here}/extend"), json!({"ttl": 5000})).await, 200);
    let rotated = from_memory(&tenant.post(&format!("{here}/rotate"), json!({})).await, 200);
    from_memory(&tenant.get(&here).await, 404);
    let refreshed = tenant.post("/v1/sessions/refresh", json!({"refresh_token": first["refresh_token"]})).await;
    let refreshed = from_memory(&refreshed, 200);
    from_memory(&tenant.get(&path(&rotated)).await, 404);
    let both = json!({"get": [refreshed["id"], rotated["id"]]});
    let items = from_memory(&tenant.post("/v1/sessions/batch", both).await, 200);
    assert_eq!((&items["items"][0]["data"], &items["items"][1]), (&json!({"n": 1, "m": 2}), &Value::Null));

    // What was not.
    for answer in [
        tenant.get(&path(&before)).await,
        tenant.put(&path(&before), json!({"user_id": "u"})).await,
        tenant.patch(&path(&before), json!({})).await,
        tenant.put("/v1/sessions/mine", json!({"user_id": "u"})).await,
        tenant.post("/v1/sessions", json!({"user_id": "u", "id": "mine"})).await,
        tenant.with("idempotency-key", "k").post("/v1/sessions", json!({"user_id": "u"})).await,
        tenant.post(&format!("{}/extend", path(&before)), json!({})).await,
        tenant.post(&format!("{}/rotate", path(&before)), json!({})).await,
        tenant.post("/v1/sessions/refresh", json!({"refresh_token": before["refresh_token"]})).await,
        tenant.post("/v1/sessions/batch", json!({"get": [refreshed["id"], before["id"]]})).await,
        tenant.with("if-match", "\"1\"").delete(&path(&before)).await,
        tenant.get("/v1/sessions").await,
        tenant.get("/v1/users/u/sessions").await,
        app.admin().get("/admin/v1/tenants").await,
    ] {
        refused(&answer);
    }
    assert_eq!(tenant.head(&path(&before)).await.status.as_u16(), 503);

    // What can be ended.
    from_memory(&tenant.delete(&path(&before)).await, 204);
    from_memory(&tenant.get(&path(&before)).await, 404).as_object().expect("a problem");
    from_memory(&tenant.delete(&path(&before)).await, 404);
    refused(&tenant.put(&path(&before), json!({"user_id": "u"})).await);
    let all = created(&tenant, json!({"user_id": "all"})).await;
    let ended = from_memory(&tenant.delete("/v1/users/all/sessions").await, 200);
    assert_eq!(ended, json!({"revoked": 1}));
    from_memory(&tenant.get(&path(&all)).await, 404);
    let later = created(&tenant, json!({"user_id": "all"})).await;
    let many = json!({"delete": [created(&tenant, json!({"user_id": "x"})).await["id"], "sref_unknown"]});
    assert_eq!(from_memory(&tenant.post("/v1/sessions/batch", many).await, 200), json!({"deleted": 2}));

    // Who may ask.
    app.anyone().get(&path(&refreshed)).await.refused(401, "unauthorized");
    let wrong = app.anyone().with("x-api-key", &with_another_secret(&tenant.secret));
    wrong.get(&path(&refreshed)).await.refused(401, "unauthorized");
    let nobodys = app.anyone().with("x-api-key", &with_another_id(&tenant.secret));
    refused(&nobodys.get(&path(&refreshed)).await);
    reader.delete(&path(&refreshed)).await.refused(403, "insufficient_scope");
    refused(&reader.get(&path(&refreshed)).await);

    redis.restart();
    until_the_backend_serves(&tenant).await;

    let other = App::over(redis.clone(), &variables);
    let elsewhere = other.anyone().with("x-api-key", &tenant.secret);
    for caller in [&*tenant, &elsewhere] {
        for (session, status) in [
            (&refreshed, 200),
            (&later, 200),
            (&kept, 200),
            (&before, 404),
            (&all, 404),
            (&rotated, 404),
            (&first, 404),
        ] {
            let answer = caller.get(&path(session)).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-degraded")), (status, ""), "{}", answer.text);
        }
    }
    assert_eq!(elsewhere.get(&path(&refreshed)).await.json()["data"], json!({"n": 1, "m": 2}));
    let listed = elsewhere.get("/v1/users/all/sessions").await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let token = json!({"refresh_token": refreshed["refresh_token"]});
    elsewhere.post("/v1/sessions/refresh", token).await.expect(StatusCode::OK);
    let token = json!({"refresh_token": before["refresh_token"]});
    elsewhere.post("/v1/sessions/refresh", token).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn without_a_fallback_an_outage_serves_nothing() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[]);
    let tenant = app.tenant().await;
    let session = created(&tenant, json!({"user_id": "u"})).await;
    redis.kill();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        refused(&tenant.post("/v1/sessions", json!({"user_id": "u"})).await);
        refused(&tenant.delete(&path(&session)).await);
    }
}

#[tokio::test]
async fn redis_is_killed_and_comes_back_five_times_and_no_session_is_lost_and_none_comes_back() {
    let redis = Arc::new(RedisServer::start_durable());
    let app = App::over(redis.clone(), &[("SESSION_FALLBACK", "memory")]);
    let tenant = app.tenant().await;
    let (mut alive, mut ended) = (vec![created(&tenant, json!({"user_id": "u"})).await], Vec::new());
    let mut degraded = 0;
    for round in 0..5 {
        redis.kill();
        alive.push(until_it_stands_in(&tenant).await);
        let back = round % 2 == 0;
        for n in 0..40 {
            // It comes back in the middle of it.
            if back && n == 20 {
                redis.restart();
            }
            let answer = tenant.post("/v1/sessions", json!({"user_id": format!("u{n}")})).await;
            degraded += usize::from(answer.header("x-degraded") == "memory");
            if answer.status == StatusCode::CREATED {
                alive.push(answer.json());
            }
            let one = alive[(n * 7 + round) % alive.len()].clone();
            let answer = tenant.delete(&path(&one)).await;
            if answer.status == StatusCode::NO_CONTENT {
                alive.retain(|session| session["id"] != one["id"]);
                ended.push(one);
            }
        }
        if !back {
            redis.restart();
        }
        until_the_backend_serves(&tenant).await;
        for (sessions, status) in [(&alive, 200), (&ended, 404)] {
            for session in sessions {
                let answer = tenant.get(&path(session)).await;
                assert_eq!(answer.status.as_u16(), status, "round {round}: {}", answer.text);
            }
        }
    }
    assert!(degraded > 50 && ended.len() > 50, "{degraded} answers from memory, {} ended", ended.len());
}

/// The key with its secret changed, and a checksum that fits.
fn with_another_secret(key: &str) -> String {
    changed(key, 30)
}

fn with_another_id(key: &str) -> String {
    changed(key, 5)
}

fn changed(key: &str, place: usize) -> String {
    let mut body = key[..63].to_owned().into_bytes();
    body[place] = if body[place] == b'a' { b'b' } else { b'a' };
    let body = String::from_utf8(body).expect("it is ASCII");
    let checksum: String = agentapi::base::id::checksum(&body).iter().collect();
    format!("{body}{checksum}")
}

#[test]
fn a_fallback_for_sessions_that_are_in_no_redis_is_a_mistake() {
    let mistakes = |pairs: &[(&str, &str)]| {
        let mut env = Env::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Config::read(&mut env);
        env.finish().map_err(|mistakes| mistakes.to_string()).err().unwrap_or_default()
    };
    let (memory, redis) = (("SESSION_FALLBACK", "memory"), ("REDIS_URL", "redis://localhost"));
    assert!(mistakes(&[memory]).contains("SESSION_FALLBACK"));
    assert!(mistakes(&[memory, redis, ("SESSION_STORAGE", "memory")]).contains("SESSION_FALLBACK"));
    assert!(mistakes(&[("SESSION_FALLBACK", "disk"), redis]).contains("SESSION_FALLBACK"));
    assert_eq!(mistakes(&[memory, redis]), "");
}
