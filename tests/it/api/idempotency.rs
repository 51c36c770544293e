//! A creation that is sent again gets the first one's answer.

use super::{create, path, suite, text};
use crate::harness::app::{Answer, App, Caller};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

suite! {
    a_repeated_creation_gets_the_same_answer_and_makes_nothing
    a_key_is_good_for_one_request_only
    a_key_is_its_tenants_own
    concurrent_repetitions_create_once
    a_creation_that_was_refused_may_be_tried_again
    only_creations_look_at_the_key
}

async fn count(tenant: &Caller) -> usize {
    tenant.get("/v1/sessions").await.expect(StatusCode::OK)["items"].as_array().expect("items").len()
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

async fn a_repeated_creation_gets_the_same_answer_and_makes_nothing(app: App) {
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "key-1");
    let body = json!({"user_id": "u1", "data": {"n": 1}, "refresh": true});
    let first = keyed.post("/v1/sessions", body.clone()).await;
    let made = first.expect(StatusCode::CREATED);
    assert!(!replayed(&first));
    // What became of the session meanwhile does not change what was answered.
    tenant.patch(&path(&made), json!({"data": {"n": 2}})).await.expect(StatusCode::OK);
    for _ in 0..2 {
        let again = keyed.post("/v1/sessions", body.clone()).await;
        assert!(replayed(&again), "{again:?}");
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        for header in ["location", "etag", "content-type", "cache-control", "x-content-type-options"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(count(&tenant).await, 1);
    let other = tenant.with("idempotency-key", "key-2").post("/v1/sessions", body).await;
    assert!(!replayed(&other) && other.expect(StatusCode::CREATED)["id"] != made["id"]);
}

async fn a_key_is_good_for_one_request_only(app: App) {
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "key-1");
    let first = keyed.post("/v1/sessions", json!({"user_id": "u1"})).await;
    first.expect(StatusCode::CREATED);
    for body in [r#"{"user_id":"u2"}"#, r#"{"user_id": "u1"}"#, "{", ""] {
        let reused = keyed.send(Method::POST, "/v1/sessions", Some(body.into())).await;
        reused.refused(422, "idempotency_key_reused");
    }
    let again = keyed.post("/v1/sessions", json!({"user_id": "u1"})).await;
    assert_eq!((replayed(&again), again.text), (true, first.text));
    assert_eq!(count(&tenant).await, 1);
}

async fn a_key_is_its_tenants_own(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let body = json!({"user_id": "u1"});
    let here = tenant.with("idempotency-key", "key-1").post("/v1/sessions", body.clone()).await;
    let there = other.with("idempotency-key", "key-1").post("/v1/sessions", body).await;
    assert!(!replayed(&there));
    assert_ne!(here.expect(StatusCode::CREATED)["id"], there.expect(StatusCode::CREATED)["id"]);
    assert_eq!((count(&tenant).await, count(&other).await), (1, 1));
}

async fn concurrent_repetitions_create_once(app: App) {
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "!~key");
    let answers = join_all((0..10).map(|_| keyed.post("/v1/sessions", json!({"user_id": "u1"})))).await;
    let mut made: Vec<Value> = Vec::new();
    for answer in &answers {
        match answer.status {
            StatusCode::CREATED => made.push(answer.json()),
            _ => drop(answer.refused(409, "idempotency_key_in_use")),
        }
    }
    assert!(made.iter().all(|session| *session == made[0]), "{made:?}");
    let fresh = answers.iter().filter(|answer| answer.status == StatusCode::CREATED && !replayed(answer)).count();
    assert_eq!((fresh, count(&tenant).await), (1, 1));
    let later = keyed.post("/v1/sessions", json!({"user_id": "u1"})).await;
    assert_eq!((replayed(&later), &later.expect(StatusCode::CREATED)["id"]), (true, &made[0]["id"]));
}

async fn a_creation_that_was_refused_may_be_tried_again(app: App) {
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "key-1");
    keyed.post("/v1/sessions", json!({"user": "u1"})).await.refused(422, "validation_failed");
    let taken = create(&tenant, json!({"user_id": "u1", "id": "mine"})).await;
    let body = json!({"user_id": "u1", "id": "mine"});
    keyed.post("/v1/sessions", body.clone()).await.refused(409, "session_exists");
    tenant.delete(&path(&taken)).await.expect(StatusCode::NO_CONTENT);
    let made = keyed.post("/v1/sessions", body.clone()).await;
    assert!(!replayed(&made));
    assert_eq!(text(&made.expect(StatusCode::CREATED), "id"), "mine");
    assert!(replayed(&keyed.post("/v1/sessions", body).await));
}

async fn only_creations_look_at_the_key(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let keyed = tenant.with("idempotency-key", "key-1");
    for n in 1..3 {
        let patched = keyed.patch(&path(&made), json!({"data": {"n": n}})).await;
        assert_eq!((replayed(&patched), patched.expect(StatusCode::OK)["data"].clone()), (false, json!({"n": n})));
    }
    let extended = keyed.post(&format!("{}/extend", path(&made)), json!({"ttl": 60})).await;
    assert_eq!((replayed(&extended), extended.expect(StatusCode::OK)["ttl"].clone()), (false, json!(60)));
}
