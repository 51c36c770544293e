//! Keeping, opening, replacing and destroying.

use super::{at, put, read, token};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    a_token_is_kept_opened_replaced_and_destroyed
    a_token_of_the_least_has_defaults
    a_token_may_be_large
    two_instances_open_what_either_keeps
}

async fn a_token_is_kept_opened_replaced_and_destroyed(app: App) {
    let tenant = app.tenant().await;
    let made = tenant.put(&at("alice", "google"), token()).await;
    let kept = made.expect(StatusCode::CREATED);
    assert_eq!(made.header("location"), "/v1/tokens/alice/google");
    assert_eq!((made.header("etag"), made.header("cache-control")), ("\"1\"", "no-store"));
    for secret in ["access_token", "refresh_token"] {
        assert!(kept.get(secret).is_none(), "{kept}");
    }
    assert!(!made.text.contains("\"access\"") && !made.text.contains("\"refresh\""));
    assert_eq!((&kept["version"], &kept["key_version"], &kept["status"]), (&json!(1), &json!(1), &json!("active")));

    let opened = tenant.get(&at("alice", "google")).await;
    assert_eq!((opened.header("etag"), opened.header("cache-control")), ("\"1\"", "no-store"));
    let mut opened = opened.expect(StatusCode::OK);
    let members = opened.as_object_mut().unwrap();
    assert_eq!(members.remove("access_token"), Some(json!("access")));
    assert_eq!(members.remove("refresh_token"), Some(json!("refresh")));
    assert_eq!(opened, kept, "the rest is what was told when it was kept");
    assert_eq!(kept["metadata"], json!({"account": "alice@example.com"}));
    assert_eq!((&kept["scopes"], &kept["token_type"]), (&json!(["read", "write"]), &json!("Bearer")));

    let replaced = tenant.put(&at("alice", "google"), json!({"access_token": "second", "token_type": "MAC"})).await;
    assert_eq!((replaced.status, replaced.header("etag"), replaced.header("location")), (StatusCode::OK, "\"2\"", ""));
    let second = read(&tenant, "alice", "google").await;
    assert_eq!((&second["access_token"], &second["refresh_token"]), (&json!("second"), &Value::Null));
    assert_eq!((&second["scopes"], &second["metadata"]), (&json!([]), &json!({})), "nothing of the first is left");
    assert_eq!(second["created_at"], kept["created_at"]);

    tenant.delete(&at("alice", "google")).await.expect(StatusCode::NO_CONTENT);
    tenant.get(&at("alice", "google")).await.refused(404, "token_not_found");
    tenant.delete(&at("alice", "google")).await.refused(404, "token_not_found");
    assert_eq!(put(&tenant, "alice", "google", token()).await["version"], 1);
}

async fn a_token_of_the_least_has_defaults(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", json!({"access_token": "a"})).await;
    let opened = read(&tenant, "u", "p").await;
    let expected = json!({"access_token": "a", "refresh_token": null, "provider": "p", "token_type": "Bearer", "scopes": [],
        "expires_at": null, "refreshable": false, "status": "active", "metadata": {}, "version": 1, "key_version": 1,
        "created_at": opened["created_at"], "updated_at": opened["updated_at"]});
    assert_eq!(opened, expected);
}

async fn a_token_may_be_large(app: App) {
    let tenant = app.tenant().await;
    let (access, refresh) = ("é".repeat(32 * 1024), "r".repeat(64 * 1024));
    put(&tenant, "u", "p", json!({"access_token": access, "refresh_token": refresh})).await;
    let opened = read(&tenant, "u", "p").await;
    assert_eq!((opened["access_token"].as_str(), opened["refresh_token"].as_str()), (Some(&*access), Some(&*refresh)));
}

async fn two_instances_open_what_either_keeps(app: App) {
    let Some(redis) = app.redis.clone() else { return };
    let shared = [("REDIS_KEY_PREFIX", "tokens-of-two")];
    let (one, other) = (App::over(redis.clone(), &shared), App::over(redis, &shared));
    let tenant = one.tenant().await;
    let there = other.anyone().with("x-api-key", &tenant.secret);
    put(&tenant, "u", "p", json!({"access_token": "first"})).await;
    assert_eq!(read(&there, "u", "p").await["access_token"], "first");
    put(&there, "u", "p", json!({"access_token": "second"})).await;
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "second");
}
