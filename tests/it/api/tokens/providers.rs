//! The settings of OAuth providers.

use super::provider_at;
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    a_provider_is_set_read_listed_and_forgotten_without_its_secret
    what_is_left_out_is_as_by_default
    a_key_that_may_not_read_sets_no_provider
}

/// One that needs no network to be set.
pub fn provider() -> Value {
    json!({"token_url": "https://login.example.com/token", "client_id": "c", "client_secret": "canary-secret"})
}

async fn a_provider_is_set_read_listed_and_forgotten_without_its_secret(app: App) {
    let tenant = app.tenant().await;
    let mut body = provider();
    body["auth_style"] = json!("client_secret_post");
    body["scopes"] = json!(["a", "b"]);
    body["refresh_before"] = json!("90s");
    let made = tenant.put(&provider_at("my/provider"), body).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::CREATED, "/v1/oauth/providers/my%2Fprovider"));
    let read = tenant.get(&provider_at("my/provider")).await;
    assert_eq!(read.header("cache-control"), "no-store");
    assert_eq!(read.expect(StatusCode::OK), made.json());
    let list = tenant.get("/v1/oauth/providers").await;
    assert_eq!(list.expect(StatusCode::OK), json!({"items": [made.json()], "next_cursor": null}));
    for answer in [&made, &read, &list] {
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
    let shown = json!({"provider": "my/provider", "token_url": "https://login.example.com/token", "client_id": "c",
        "auth_style": "client_secret_post", "scopes": ["a", "b"], "refresh_before_ms": 90_000, "version": 1, "key_version": 1,
        "created_at": made.json()["created_at"], "updated_at": made.json()["updated_at"]});
    assert_eq!(made.json(), shown);
    tenant.delete(&provider_at("my/provider")).await.expect(StatusCode::NO_CONTENT);
    tenant.get(&provider_at("my/provider")).await.refused(404, "provider_not_found");
    assert_eq!(tenant.get("/v1/oauth/providers").await.json()["items"], json!([]));
}

async fn what_is_left_out_is_as_by_default(app: App) {
    let tenant = app.tenant().await;
    let made = tenant.put(&provider_at("p"), provider()).await.expect(StatusCode::CREATED);
    let defaults = (&made["auth_style"], &made["scopes"], &made["refresh_before_ms"]);
    assert_eq!(defaults, (&json!("client_secret_basic"), &json!([]), &json!(300_000)));
}

async fn a_key_that_may_not_read_sets_no_provider(app: App) {
    // Where refresh tokens are sent they can be read.
    let writer = app.tenant_with(&["tokens:write"]).await;
    writer.put(&provider_at("p"), provider()).await.refused(403, "insufficient_scope");
    let admin = app.admin().with("x-tenant-id", &writer.id);
    admin.get(&provider_at("p")).await.refused(404, "provider_not_found");
    admin.put(&provider_at("p"), provider()).await.expect(StatusCode::CREATED);
    writer.put(&provider_at("p"), provider()).await.refused(403, "insufficient_scope");
    assert_eq!(admin.get(&provider_at("p")).await.expect(StatusCode::OK)["version"], 1);
}
