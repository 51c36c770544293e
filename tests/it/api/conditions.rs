//! Putting sessions, and the conditions that requests put on their versions.

use super::{create, path, peek, still, suite, text};
use crate::harness::app::{App, Caller};
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    put_creates_a_session_and_then_replaces_it_whole
    put_hands_a_session_to_another_user
    a_replaced_session_keeps_its_refresh_token
    a_write_under_another_version_changes_nothing
    a_condition_on_what_is_not_there_never_creates
    put_can_be_made_to_create_only
    a_reader_that_has_the_version_is_told_so
}

async fn put_creates_a_session_and_then_replaces_it_whole(app: App) {
    let tenant = app.tenant().await;
    let body = json!({"user_id": "u1", "data": {"a": 1}, "metadata": {"m": 1}, "ttl": 60});
    let created = tenant.put("/v1/sessions/mine", body).await;
    let session = created.expect(StatusCode::CREATED);
    assert_eq!((created.header("etag"), created.header("location")), ("\"1\"", "/v1/sessions/mine"));
    assert_eq!((&session["id"], &session["ttl"]), (&json!("mine"), &json!(60)));
    assert_eq!(still(tenant.get(&peek(&session)).await.expect(StatusCode::OK)), still(session.clone()));

    let replaced = tenant.put("/v1/sessions/mine", json!({"user_id": "u1", "data": {"b": 2}})).await;
    let after = replaced.expect(StatusCode::OK);
    assert_eq!((replaced.header("etag"), &after["version"]), ("\"2\"", &json!(2)));
    assert_eq!((&after["data"], &after["metadata"]), (&json!({"b": 2}), &json!({})), "what is left out is gone");
    assert_eq!((&after["created_at"], &after["ttl"]), (&session["created_at"], &json!(3600)));
    assert_eq!(still(tenant.get(&peek(&session)).await.expect(StatusCode::OK)), still(after));
}

/// How many sessions a user has.
async fn count(tenant: &Caller, user: &str) -> usize {
    let list = tenant.get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
    list["items"].as_array().expect("a list").len()
}

async fn put_hands_a_session_to_another_user(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let put = tenant.put(&path(&made), json!({"user_id": "u2"})).await.expect(StatusCode::OK);
    assert_eq!((&put["id"], &put["user_id"]), (&made["id"], &json!("u2")));
    assert_eq!((count(&tenant, "u1").await, count(&tenant, "u2").await), (0, 1));
    assert_eq!(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)["revoked"], 0);
    assert_eq!(tenant.delete("/v1/users/u2/sessions").await.expect(StatusCode::OK)["revoked"], 1);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
}

async fn a_replaced_session_keeps_its_refresh_token(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    tenant.put(&path(&made), json!({"user_id": "u2", "data": {"n": 2}})).await.expect(StatusCode::OK);
    let token = json!({"refresh_token": made["refresh_token"]});
    let refreshed = tenant.post("/v1/sessions/refresh", token).await.expect(StatusCode::OK);
    assert_eq!((&refreshed["user_id"], &refreshed["data"]), (&json!("u2"), &json!({"n": 2})));
    assert_eq!((count(&tenant, "u1").await, count(&tenant, "u2").await), (0, 1));
}

/// Tries every conditional write with this `If-Match`.
async fn try_writes(tenant: &Caller, path: &str, tag: &str) -> Vec<(u16, Value)> {
    let only = tenant.with("if-match", tag);
    let put = only.put(path, json!({"user_id": "u1", "data": {"by": "put"}})).await;
    let patch = only.patch(path, json!({"data": {"by": "patch"}})).await;
    let delete = only.delete(path).await;
    [put, patch, delete].iter().map(|answer| (answer.status.as_u16(), answer.json()["code"].clone())).collect()
}

async fn a_write_under_another_version_changes_nothing(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}})).await;
    for tag in ["\"2\"", "\"0\"", "W/\"1\"", "\"one\"", "\"2\", \"3\""] {
        let answers = try_writes(&tenant, &path(&made), tag).await;
        assert_eq!(answers, vec![(412, json!("version_mismatch")); 3], "{tag}");
    }
    for operation in ["extend", "rotate"] {
        let at = format!("{}/{operation}", path(&made));
        for tag in ["\"2\"", "\"0\"", "W/\"1\""] {
            tenant.with("if-match", tag).post(&at, json!({})).await.refused(412, "version_mismatch");
        }
        tenant.with("if-match", "version").post(&at, json!({})).await.refused(400, "invalid_header");
    }
    let reference = format!("/v1/sessions/{}", text(&made, "ref"));
    tenant.with("if-match", "\"2\"").delete(&reference).await.refused(412, "version_mismatch");
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made.clone()));

    let patched = tenant.with("if-match", "\"7\", \"1\"").patch(&path(&made), json!({"data": {"n": 2}})).await;
    assert_eq!(patched.expect(StatusCode::OK)["version"], 2);
    assert_eq!(patched.header("etag"), "\"2\"");
    let put = tenant.with("if-match", "*").put(&path(&made), json!({"user_id": "u1"})).await;
    assert_eq!(put.expect(StatusCode::OK)["version"], 3);
    let own = tenant.with("if-match", "\"3\"");
    own.post(&format!("{}/extend", path(&made)), json!({"ttl": 60})).await.expect(StatusCode::OK);
    let rotated = own.post(&format!("{}/rotate", path(&made)), json!({})).await.expect(StatusCode::OK);
    assert_eq!(rotated["version"], 3);
    let reference = format!("/v1/sessions/{}", text(&rotated, "ref"));
    tenant.with("if-match", "\"3\"").delete(&reference).await.expect(StatusCode::NO_CONTENT);
}

async fn a_condition_on_what_is_not_there_never_creates(app: App) {
    let tenant = app.tenant().await;
    for tag in ["*", "\"1\"", "\"0\""] {
        let put = tenant.with("if-match", tag).put("/v1/sessions/nobody", json!({"user_id": "u1"})).await;
        put.refused(412, "version_mismatch");
        tenant.get("/v1/sessions/nobody").await.refused(404, "session_not_found");
    }
    assert_eq!(count(&tenant, "u1").await, 0);
}

async fn put_can_be_made_to_create_only(app: App) {
    let tenant = app.tenant().await;
    let only = tenant.with("if-none-match", "*");
    let made =
        only.put("/v1/sessions/mine", json!({"user_id": "u1", "data": {"n": 1}})).await.expect(StatusCode::CREATED);
    only.put("/v1/sessions/mine", json!({"user_id": "u2", "data": {"n": 2}})).await.refused(412, "version_mismatch");
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made));

    let racers: Vec<_> = (0..6).map(|n| json!({"user_id": format!("racer-{n}")})).collect();
    let answers =
        futures_util::future::join_all(racers.into_iter().map(|body| only.put("/v1/sessions/race", body))).await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).collect();
    assert_eq!(created.len(), 1, "{answers:?}");
    for lost in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        lost.refused(412, "version_mismatch");
    }
    assert_eq!(tenant.get("/v1/sessions/race").await.expect(StatusCode::OK)["user_id"], created[0].json()["user_id"]);
}

async fn a_reader_that_has_the_version_is_told_so(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    for tag in ["\"1\"", "W/\"1\"", "\"9\", \"1\"", "*"] {
        let known = tenant.with("if-none-match", tag).get(&path(&made)).await;
        assert_eq!((known.status.as_u16(), known.text.as_str(), known.header("etag")), (304, "", "\"1\""), "{tag}");
    }
    assert_eq!(tenant.with("if-none-match", "\"2\"").get(&path(&made)).await.expect(StatusCode::OK)["version"], 1);
    tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.expect(StatusCode::OK);
    let changed = tenant.with("if-none-match", "\"1\"").get(&path(&made)).await;
    assert_eq!(changed.expect(StatusCode::OK)["data"], json!({"n": 1}));
}
