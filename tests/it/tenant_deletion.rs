//! Deleting a tenant, as an operator, its clients and its neighbours see it.

use crate::harness::app::{App, On, Tenant};
use crate::harness::backend::Backend;
use crate::harness::redis_server::RedisServer;
use agentapi::db::{Batch, Reply};
use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY: (&str, &str) = ("TOKEN_ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
/// So that deletions need not wait long for requests that are under way.
const SHORT: (&str, &str) = ("REQUEST_TIMEOUT", "1s");

fn on(backend: On, more: &[(&str, &str)]) -> App {
    App::with(backend, &[&[KEY, SHORT][..], more].concat())
}

/// A tenant of this id that has something in every store.
async fn tenant(app: &App, id: &str) -> Tenant {
    let tenant = app.named_tenant(id).await;
    let put = json!({"access_token": format!("secret-of-{id}"), "refresh_token": "r"});
    tenant.put("/v1/tokens/alice/google", put).await.expect(StatusCode::CREATED);
    for user in ["alice", "bob", "*", "{x}"] {
        let session = json!({"user_id": user, "data": {"of": id}, "refresh": true});
        tenant.with("idempotency-key", user).post("/v1/sessions", session).await.expect(StatusCode::CREATED);
    }
    tenant.put("/v1/breakers/b", json!({"failure_threshold": 3})).await.expect(StatusCode::OK);
    let flag = json!({"state": "ENABLED", "variants": {"v": id}, "defaultVariant": "v"});
    tenant.put("/v1/flags/f", flag).await.expect(StatusCode::CREATED);
    tenant.post("/ofrep/v1/evaluate/flags/f", json!({})).await.expect(StatusCode::OK);
    // Which adds what was counted to the backend, where it would else be added some time later.
    tenant.get("/v1/flags/f/stats").await.expect(StatusCode::OK);
    let check = json!({"key": "k", "limit": 10, "window": "1h"});
    tenant.post("/v1/ratelimit/check", check).await.expect(StatusCode::OK);
    tenant
}

fn path(id: &str) -> String {
    format!("/admin/v1/tenants/{id}")
}

/// What a job has become once it is finished. Time that has to pass does, on the embedded backend by the clock as well.
async fn finished(app: &App, job: &Value) -> Value {
    let begun = Instant::now();
    loop {
        let now = app.admin().get(&format!("/admin/v1/jobs/{}", job["id"].as_str().unwrap())).await;
        let now = now.expect(StatusCode::OK);
        if now["finished_at"].is_string() {
            return now;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        app.clock.advance(Duration::from_millis(50));
    }
}

/// Every key of the Redis behind an application that contains this text, as Redis writes it down; of a hash the fields, in
/// order, for where they stand changes when it is read.
async fn dump(redis: &Arc<RedisServer>, containing: &str) -> BTreeMap<String, BTreeSet<Vec<Bytes>>> {
    let backend = Backend::on(redis.clone());
    let keys = backend.ask(&["KEYS", containing]).await.array().unwrap();
    let mut dump = BTreeMap::new();
    for key in keys {
        let key = key.text().unwrap();
        let written = if backend.ask(&["TYPE", &key]).await.text().unwrap() == "hash" {
            let parts = backend.ask(&["HGETALL", &key]).await.array().unwrap();
            let parts: Vec<_> = parts.into_iter().map(|part| part.bytes().unwrap()).collect();
            parts.chunks(2).map(<[_]>::to_vec).collect::<BTreeSet<_>>()
        } else {
            BTreeSet::from([vec![backend.ask(&["DUMP", &key]).await.bytes().unwrap()]])
        };
        dump.insert(key, written);
    }
    dump
}

async fn all_of_it(backend: On) {
    let prefix = format!("deletion-{backend:?}").to_lowercase();
    let app = on(backend, &[("REDIS_KEY_PREFIX", &prefix), ("BACKUP_RETENTION", "30d")]);
    let gone = tenant(&app, "aa").await;
    let neighbours = [tenant(&app, "aa2").await, tenant(&app, "aa-2").await, tenant(&app, "a2a").await];
    let before = async || match &app.redis {
        Some(redis) => {
            let mut all = BTreeMap::new();
            for neighbour in &neighbours {
                all.extend(dump(redis, &format!("{prefix}:{{{}:*", neighbour.id)).await);
            }
            all.retain(|key, _| !key.contains(":op:"));
            all
        }
        None => BTreeMap::new(),
    };
    let held = before().await;
    let admin = app.admin();
    admin.delete(&path("nobody")).await.refused(404, "tenant_not_found");

    let answer = admin.delete(&path("aa")).await;
    let job = answer.expect(StatusCode::ACCEPTED);
    gone.get("/v1/sessions").await.refused(401, "unauthorized");
    assert_eq!((job["kind"].as_str(), job["tenant"].as_str()), (Some("tenant.delete"), Some("aa")));
    assert_eq!(answer.header("location"), format!("/admin/v1/jobs/{}", job["id"].as_str().unwrap()));
    assert!(job["remains"]["backups_until"].as_str() > job["created_at"].as_str(), "{job}");
    let again = admin.delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    assert_eq!(again["id"], job["id"]);
    admin.post("/admin/v1/tenants", json!({"id": "aa"})).await.refused(409, "tenant_being_deleted");
    admin.get(&path("aa")).await.refused(404, "tenant_not_found");
    admin.post(&format!("{}/keys", path("aa")), json!({})).await.refused(404, "tenant_not_found");
    admin.with("x-tenant-id", "aa").get("/v1/sessions").await.refused(404, "tenant_not_found");

    let done = finished(&app, &job).await;
    assert_eq!((&done["state"], &done["error"]), (&json!("done"), &Value::Null), "{done}");
    assert!(done["done"].as_u64() > Some(10), "{done}");
    let listed = admin.get("/admin/v1/jobs").await.expect(StatusCode::OK);
    assert_eq!(listed["items"], json!([done]));
    admin.delete(&path("aa")).await.refused(404, "tenant_not_found");
    admin.get("/admin/v1/jobs/none").await.refused(404, "job_not_found");
    if let Some(redis) = &app.redis {
        assert_eq!(dump(redis, &format!("{prefix}:{{aa:*")).await, BTreeMap::new());
        let now = before().await;
        let changed: Vec<_> = held.keys().chain(now.keys()).filter(|key| held.get(*key) != now.get(*key)).collect();
        assert!(changed.is_empty(), "something of a neighbour has changed: {changed:?}");
    }
    for neighbour in &neighbours {
        let token = neighbour.get("/v1/tokens/alice/google").await.expect(StatusCode::OK);
        assert_eq!(token["access_token"], format!("secret-of-{}", neighbour.id));
        let sessions = neighbour.get("/v1/sessions").await.expect(StatusCode::OK);
        assert_eq!(sessions["items"].as_array().unwrap().len(), 4);
    }
    // The id is free again, and whoever has it next finds nothing.
    let next = app.named_tenant("aa").await;
    gone.get("/v1/sessions").await.refused(401, "unauthorized");
    next.post("/ofrep/v1/evaluate/flags/f", json!({})).await.refused(404, "flag_not_found");
    next.get("/v1/tokens/alice/google").await.refused(404, "token_not_found");
    assert_eq!(next.get("/v1/sessions").await.expect(StatusCode::OK)["items"], json!([]));
}

#[tokio::test]
async fn nothing_of_a_tenant_is_left_on_memory() {
    all_of_it(On::Memory).await;
}

#[tokio::test]
async fn nothing_of_a_tenant_is_left_on_redis() {
    all_of_it(On::Native).await;
}

#[tokio::test]
async fn nothing_of_a_tenant_is_left_over_rest() {
    all_of_it(On::Rest).await;
}

#[tokio::test]
async fn without_a_retention_nobody_says_how_long_backups_are_kept() {
    let app = on(On::Memory, &[]);
    app.named_tenant("aa").await;
    let job = app.admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    assert_eq!(job["remains"]["backups_until"], Value::Null);
    assert!(job["remains"]["backups"].as_str().unwrap().contains("cannot know"), "{job}");
}

#[tokio::test]
async fn access_ends_within_a_second_on_another_instance_which_finishes_what_one_began() {
    let redis = RedisServer::shared();
    let shared = [KEY, SHORT, ("REDIS_KEY_PREFIX", "deletion-two")];
    let (here, there) = (App::over(redis.clone(), &shared), App::over(redis.clone(), &shared));
    let gone = tenant(&here, "aa").await;
    let over_there = there.anyone().with("x-api-key", &gone.secret);
    over_there.get("/v1/tokens/alice/google").await.expect(StatusCode::OK);
    let job = here.admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    let ended = Instant::now();
    gone.get("/v1/tokens/alice/google").await.refused(401, "unauthorized");
    while ended.elapsed() < Duration::from_secs(1) {
        assert!(matches!(over_there.get("/v1/sessions").await.status.as_u16(), 200 | 401));
    }
    over_there.get("/v1/tokens/alice/google").await.refused(401, "unauthorized");
    drop(here);
    let done = finished(&there, &job).await;
    assert_eq!(done["state"], "done");
    assert_eq!(dump(&redis, "deletion-two:{aa:*").await, BTreeMap::new());
}

#[tokio::test]
async fn ten_thousand_keys_are_gone_and_no_request_waits_for_them() {
    let app = on(On::Native, &[("REDIS_KEY_PREFIX", "deletion-large")]);
    let (gone, other) = (tenant(&app, "aa").await, tenant(&app, "aa2").await);
    let redis = app.redis.clone().unwrap();
    let backend = Backend::on(redis.clone());
    for thousand in 0..10 {
        let set = |n: usize| {
            let key = format!("deletion-large:{{aa:{:02x}}}:session:{thousand}-{n}", n % 256);
            crate::harness::backend::raw(["SET".to_owned(), key, "v".repeat(100)])
        };
        let replies = backend.run(&Batch::pipeline((0..1000).map(set).collect())).await;
        assert!(replies.iter().all(|reply| *reply == Reply::Status("OK".into())));
    }
    let job = app.admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    gone.get("/v1/sessions").await.refused(401, "unauthorized");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        other.get("/v1/sessions").await.expect(StatusCode::OK);
    }
    let done = finished(&app, &job).await;
    assert!(done["done"].as_u64() > Some(10_000), "{done}");
    assert_eq!(dump(&redis, "deletion-large:{aa:*").await, BTreeMap::new());
    other.get("/v1/tokens/alice/google").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn sessions_that_stay_in_the_process_go_too() {
    let variables = [("SESSION_STORAGE", "memory"), ("REDIS_KEY_PREFIX", "deletion-sessions")];
    let app = on(On::Native, &variables);
    let gone = app.named_tenant("aa").await;
    let session = json!({"user_id": "u", "id": "known", "ttl": "1d"});
    gone.post("/v1/sessions", session).await.expect(StatusCode::CREATED);
    let job = app.admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    finished(&app, &job).await;
    let next = app.named_tenant("aa").await;
    next.get("/v1/sessions/known").await.refused(404, "session_not_found");
}

#[tokio::test]
async fn an_instance_that_knew_a_tenant_opens_what_the_next_one_of_the_same_id_keeps() {
    let redis = RedisServer::shared();
    let shared = [KEY, SHORT, ("REDIS_KEY_PREFIX", "deletion-again")];
    let (here, there) = (App::over(redis.clone(), &shared), App::over(redis.clone(), &shared));
    let gone = tenant(&here, "aa").await;
    there.anyone().with("x-api-key", &gone.secret).get("/v1/tokens/alice/google").await.expect(StatusCode::OK);
    let job = here.admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    finished(&here, &job).await;
    let next = tenant(&here, "aa").await;
    let over_there = there.anyone().with("x-api-key", &next.secret);
    let token = over_there.get("/v1/tokens/alice/google").await.expect(StatusCode::OK);
    assert_eq!(token["access_token"], "secret-of-aa");
    let put = json!({"access_token": "kept over there"});
    over_there.put("/v1/tokens/bob/google", put).await.expect(StatusCode::CREATED);
    let token = next.get("/v1/tokens/bob/google").await.expect(StatusCode::OK);
    assert_eq!(token["access_token"], "kept over there");
}

#[tokio::test]
async fn no_server_answers_a_tenant_that_comes_again_by_the_flags_of_the_one_before() {
    let redis = RedisServer::shared();
    let shared = [("REDIS_KEY_PREFIX", "deletion-flags")];
    let variables = [&[KEY, SHORT][..], &shared].concat();
    let apps = [App::over(redis.clone(), &variables), App::over(redis, &variables)];
    let gone = tenant(&apps[0], "aa").await;
    // Somebody else's change comes last, so that what is erased is not what servers have seen last.
    tenant(&apps[0], "bb").await;
    for app in &apps {
        let caller = app.anyone().with("x-api-key", &gone.secret);
        caller.post("/ofrep/v1/evaluate/flags/f", json!({})).await.expect(StatusCode::OK);
    }
    let job = apps[0].admin().delete(&path("aa")).await.expect(StatusCode::ACCEPTED);
    assert_eq!(finished(&apps[0], &job).await["state"], "done");
    let next = apps[0].named_tenant("aa").await;
    for app in &apps {
        let caller = app.anyone().with("x-api-key", &next.secret);
        let answer = caller.post("/ofrep/v1/evaluate/flags/f", json!({})).await;
        answer.refused(404, "flag_not_found");
    }
}
