//! What every answer has, good or bad.

use super::{create, path, suite, text};
use crate::harness::app::{Answer, App};
use reqwest::StatusCode;
use serde_json::json;
use std::collections::BTreeSet;

suite! {
    every_answer_says_which_request_it_is_for
    nothing_that_carries_a_session_may_be_cached
    deeply_nested_data_is_kept_and_harms_nobody
}

async fn every_answer_says_which_request_it_is_for(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let good = tenant.with("x-request-id", "my-request/1");
    for answer in [
        good.get(&path(&made)).await,
        good.get("/nope").await,
        good.get("/v1/sessions/%ff").await,
        good.head("/v1/sessions").await,
    ] {
        assert_eq!(answer.header("x-request-id"), "my-request/1");
    }
    assert_eq!(good.get("/v1/sessions/nobody").await.json()["request_id"], "my-request/1");
    let mut seen = BTreeSet::new();
    let long = "x".repeat(129);
    for bad in ["", "a b", &long] {
        let answer = tenant.with("x-request-id", bad).get(&path(&made)).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "a UUID of the server's own");
        assert!(seen.insert(answer.header("x-request-id").to_owned()));
    }
}

fn private(answer: &Answer) {
    let headers = (answer.header("cache-control"), answer.header("x-content-type-options"));
    assert_eq!(headers, ("no-store", "nosniff"), "{answer:?}");
}

async fn nothing_that_carries_a_session_may_be_cached(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    private(&tenant.get(&path(&made)).await);
    private(&tenant.head(&path(&made)).await);
    private(&tenant.with("if-none-match", "*").get(&path(&made)).await);
    private(&tenant.put("/v1/sessions/mine", json!({"user_id": "u1"})).await);
    private(&tenant.patch(&path(&made), json!({})).await);
    private(&tenant.post("/v1/sessions/batch", json!({"get": [made["id"]]})).await);
    private(&tenant.get("/v1/sessions").await);
    private(&tenant.get("/v1/users/u1/sessions").await);
    private(&tenant.post("/v1/sessions/refresh", json!({"refresh_token": text(&made, "refresh_token")})).await);
    private(&tenant.get(&path(&made)).await);
    private(&tenant.delete("/v1/sessions/mine").await);
    private(&app.anyone().get("/v1/sessions").await);
}

async fn deeply_nested_data_is_kept_and_harms_nobody(app: App) {
    let tenant = app.tenant().await;
    let deep = format!(r#"{}1{}"#, r#"{"a":"#.repeat(64), "}".repeat(64));
    let body = format!(r#"{{"user_id":"u1","id":"deep","data":{deep}}}"#);
    let made = tenant.send(reqwest::Method::POST, "/v1/sessions", Some(body.into_bytes())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", &made.text[..200]);
    assert!(tenant.get("/v1/sessions/deep").await.text.contains(&deep));
    let patched = tenant.patch("/v1/sessions/deep", json!({"data": {"b": 1}})).await;
    assert_eq!(patched.status, StatusCode::OK);
    assert!(patched.text.contains(&deep[..deep.len() - 1]), "it is merged into, not lost");
    let lists = format!(r#"{{"user_id":{}"x"{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let refused = tenant.send(reqwest::Method::POST, "/v1/sessions", Some(lists.into_bytes())).await;
    refused.refused(422, "validation_failed");
    tenant.head("/v1/sessions/deep").await.expect(StatusCode::OK);
}
