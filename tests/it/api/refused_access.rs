//! Who is not let in, and what is said to them.

use super::{create, path, peek, still, suite};
use crate::harness::app::{Answer, App, Caller, On};
use reqwest::{Method, StatusCode};
use serde_json::json;

suite! {
    without_a_good_credential_nothing_is_served
    a_key_is_taken_from_either_header
    a_key_does_what_its_scopes_say
    an_operator_acts_for_a_named_tenant
    a_suspended_tenant_is_shut_out_and_let_in_again
    a_revoked_key_is_shut_out
}

#[track_caller]
fn unauthorized(answer: &Answer) {
    answer.refused(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

async fn without_a_good_credential_nothing_is_served(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "id": "mine"})).await;
    let unknown = App::on(On::Memory).tenant().await.secret;
    let (anyone, key) = (app.anyone(), &tenant.secret);
    let mut strangers = vec![anyone.clone()];
    let flipped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {key}"),
        key.clone(),
        format!("Bearer {flipped}"),
        format!("Bearer {key}x"),
        format!("Bearer {unknown}"),
        "Bearer *".to_owned(),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {}", "x".repeat(4000)),
    ] {
        strangers.push(anyone.with("authorization", &value));
    }
    strangers.push(anyone.with("x-api-key", &flipped));
    strangers.push(anyone.with("x-api-key", &unknown));
    for stranger in &strangers {
        unauthorized(&stranger.get("/v1/sessions/mine").await);
        unauthorized(&stranger.get("/v1/sessions?limit=canary").await);
        unauthorized(&stranger.send(Method::POST, "/v1/sessions", Some(b"{".to_vec())).await);
        unauthorized(&stranger.delete("/v1/users/u1/sessions").await);
        unauthorized(&stranger.get("/admin/v1/tenants").await);
        assert_eq!(stranger.head("/v1/sessions/mine").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made));
}

async fn a_key_is_taken_from_either_header(app: App) {
    let tenant = app.tenant().await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", tenant.secret)),
        ("authorization", format!("bearer {}", tenant.secret)),
        ("x-api-key", tenant.secret.clone()),
    ] {
        app.anyone().with(name, &value).get("/v1/sessions").await.expect(StatusCode::OK);
    }
}

async fn a_key_does_what_its_scopes_say(app: App) {
    let writer = app.tenant_with(&["sessions:read", "sessions:write"]).await;
    let made = create(&writer, json!({"user_id": "u1"})).await;
    let read_only = json!({"scopes": ["sessions:read"]});
    let keys = format!("/admin/v1/tenants/{}/keys", writer.id);
    let key = app.admin().post(&keys, read_only).await.expect(StatusCode::CREATED);
    let reader = app.anyone().with("x-api-key", key["key"].as_str().unwrap());
    reader.get(&path(&made)).await.expect(StatusCode::OK);
    reader.get("/v1/users/u1/sessions").await.expect(StatusCode::OK);
    let token = json!({"refresh_token": "x"});
    for answer in [
        reader.post("/v1/sessions", json!({"user_id": "u2"})).await,
        reader.put(&path(&made), json!({"user_id": "u2"})).await,
        reader.patch(&path(&made), json!({"data": {"n": 1}})).await,
        reader.delete(&path(&made)).await,
        reader.post(&format!("{}/extend", path(&made)), json!({})).await,
        reader.post(&format!("{}/rotate", path(&made)), json!({})).await,
        reader.post("/v1/sessions/batch", json!({"delete": [made["id"]]})).await,
        reader.post("/v1/sessions/refresh", token).await,
        reader.delete("/v1/users/u1/sessions").await,
    ] {
        let problem = answer.refused(403, "insufficient_scope");
        assert!(problem["detail"].as_str().unwrap().contains("sessions:write"), "{problem}");
    }
    let elsewhere = app.tenant_with(&["flags:read", "flags:write"]).await;
    elsewhere.get("/v1/sessions").await.refused(403, "insufficient_scope");
    writer.get("/admin/v1/tenants").await.refused(403, "insufficient_scope");
    assert_eq!(still(writer.get(&peek(&made)).await.expect(StatusCode::OK)), still(made));
}

async fn an_operator_acts_for_a_named_tenant(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let acting = app.admin().with("x-tenant-id", &tenant.id);
    let made = create(&acting, json!({"user_id": "u1"})).await;
    tenant.get(&path(&made)).await.expect(StatusCode::OK);
    other.get(&path(&made)).await.refused(404, "session_not_found");
    app.admin().get("/v1/sessions").await.refused(400, "invalid_header");
    for malformed in ["", "*", "A", "../x", "_system"] {
        app.admin().with("x-tenant-id", malformed).get("/v1/sessions").await.refused(400, "invalid_header");
    }
    app.admin().with("x-tenant-id", "nobody").get("/v1/sessions").await.refused(404, "tenant_not_found");
    // A tenant's key is good for its own tenant, whatever else the request says.
    let lying = other.with("x-tenant-id", &tenant.id);
    assert_eq!(lying.get("/v1/sessions").await.expect(StatusCode::OK)["items"], json!([]));
}

/// Asks until the answer is this refusal, for a change is in force everywhere within a second.
async fn soon(caller: &Caller, status: u16) -> Answer {
    for _ in 0..500 {
        let answer = caller.get("/v1/sessions").await;
        if answer.status.as_u16() == status {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never was {status}");
}

async fn a_suspended_tenant_is_shut_out_and_let_in_again(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let at = format!("/admin/v1/tenants/{}", tenant.id);
    app.admin().patch(&at, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    soon(&tenant, 403).await.refused(403, "tenant_suspended");
    tenant.delete(&path(&made)).await.refused(403, "tenant_suspended");
    app.admin().with("x-tenant-id", &tenant.id).get("/v1/sessions").await.refused(403, "tenant_suspended");
    other.get("/v1/sessions").await.expect(StatusCode::OK);
    app.admin().patch(&at, json!({"status": "active"})).await.expect(StatusCode::OK);
    soon(&tenant, 200).await;
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made));
}

async fn a_revoked_key_is_shut_out(app: App) {
    let tenant = app.tenant().await;
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    let key = format!("/admin/v1/tenants/{}/keys/{}", tenant.id, tenant.key_id);
    app.admin().delete(&key).await.expect(StatusCode::NO_CONTENT);
    unauthorized(&soon(&tenant, 401).await);
}
