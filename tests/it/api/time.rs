//! What needs a clock that can be moved, and so runs on the embedded backend alone: how long things live.
//! The scripts that decide it are the same on every backend.

use super::{app, app_with, create, millis, path, peek, still, tenant_like, text};
use crate::harness::app::{App, Caller, On};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

fn pass(app: &App, seconds: u64) {
    app.clock.advance(Duration::from_secs(seconds));
}

/// As long as something lives, to the end: in the last millisecond it is still there.
fn outlast(app: &App, seconds: u64) {
    app.clock.advance(Duration::from_millis(seconds * 1000 + 1));
}

async fn read(tenant: &Caller, session: &Value) -> Value {
    tenant.get(&path(session)).await.expect(StatusCode::OK)
}

async fn refresh(tenant: &Caller, session: &Value) -> crate::harness::app::Answer {
    tenant.post("/v1/sessions/refresh", json!({"refresh_token": session["refresh_token"]})).await
}

#[tokio::test]
async fn a_use_is_noted_at_most_once_per_tenth_of_the_lifetime() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "ttl": 100})).await;
    pass(&app, 9);
    let early = read(&tenant, &made).await;
    assert_eq!(
        (&early["expires_at"], &early["last_activity"], &early["ttl"]),
        (&made["expires_at"], &made["last_activity"], &json!(91))
    );
    pass(&app, 1);
    let due = read(&tenant, &made).await;
    assert_eq!(millis(&due, "expires_at"), millis(&made, "expires_at") + 10_000);
    assert_eq!((millis(&due, "last_activity"), &due["ttl"]), (millis(&made, "created_at") + 10_000, &json!(100)));
    assert_eq!(due["version"], 1, "a use is no new version");
    pass(&app, 9);
    assert_eq!(read(&tenant, &made).await["expires_at"], due["expires_at"]);
}

#[tokio::test]
async fn a_session_that_is_used_goes_on_and_one_that_is_not_ends() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let (used, idle) =
        (create(&tenant, json!({"user_id": "u1"})).await, create(&tenant, json!({"user_id": "u1"})).await);
    for _ in 0..4 {
        pass(&app, 3000);
        read(&tenant, &used).await;
    }
    tenant.get(&path(&idle)).await.refused(404, "session_not_found");
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["ref"]), (1, &used["ref"]));
}

#[tokio::test]
async fn looking_is_no_use() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "ttl": 100})).await;
    pass(&app, 50);
    assert_eq!(tenant.get(&peek(&made)).await.expect(StatusCode::OK)["expires_at"], made["expires_at"]);
    assert_eq!(tenant.head(&path(&made)).await.status, StatusCode::OK);
    let batch = tenant.post("/v1/sessions/batch", json!({"get": [made["id"]]})).await.expect(StatusCode::OK);
    assert_eq!(batch["items"][0]["expires_at"], made["expires_at"]);
    for list in ["/v1/sessions", "/v1/users/u1/sessions"] {
        assert_eq!(tenant.get(list).await.expect(StatusCode::OK)["items"][0]["expires_at"], made["expires_at"]);
    }
    assert_eq!(tenant.get(&peek(&made)).await.expect(StatusCode::OK)["expires_at"], made["expires_at"]);
    outlast(&app, 50);
    tenant.get(&peek(&made)).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn a_write_is_a_use_and_a_replacement_begins_anew() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "id": "mine", "ttl": 100})).await;
    pass(&app, 1);
    let patched = tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.expect(StatusCode::OK);
    assert_eq!((millis(&patched, "expires_at"), &patched["ttl"]), (millis(&made, "expires_at") + 1_000, &json!(100)));
    let put = tenant.put(&path(&made), json!({"user_id": "u1", "ttl": 40})).await.expect(StatusCode::OK);
    assert_eq!((&put["ttl"], &put["created_at"]), (&json!(40), &made["created_at"]));
    outlast(&app, 40);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn nothing_prolongs_a_session_beyond_its_absolute_end() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "ttl": 60, "absolute_ttl": 100, "refresh": true})).await;
    assert_eq!((&made["ttl"], &made["refresh_expires_at"]), (&json!(60), &made["absolute_expires_at"]));
    pass(&app, 50);
    assert_eq!(read(&tenant, &made).await["expires_at"], made["absolute_expires_at"]);
    let extend = format!("{}/extend", path(&made));
    let extended = tenant.post(&extend, json!({"ttl": "1h"})).await.expect(StatusCode::OK);
    assert_eq!((&extended["expires_at"], &extended["ttl"]), (&made["absolute_expires_at"], &json!(50)));
    let refreshed = refresh(&tenant, &made).await.expect(StatusCode::OK);
    assert_eq!(
        (&refreshed["expires_at"], &refreshed["refresh_expires_at"]),
        (&made["absolute_expires_at"], &made["absolute_expires_at"])
    );
    outlast(&app, 50);
    tenant.get(&path(&refreshed)).await.refused(404, "session_not_found");
    refresh(&tenant, &refreshed).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn the_adaptive_policy_gives_recent_use_more_time() {
    let app = app_with(On::Memory, &[("SESSION_TTL_POLICY", "adaptive")]);
    let tenant = app.tenant().await;
    for (idle, ttl) in [(300, 3600), (301, 1800), (1800, 1800), (1801, 900)] {
        let made = create(&tenant, json!({"user_id": "u1"})).await;
        assert_eq!(made["ttl"], 3600);
        pass(&app, idle);
        let used = read(&tenant, &made).await;
        assert_eq!(used["ttl"], ttl, "after {idle} s");
    }
}

#[tokio::test]
async fn an_adaptive_session_ends_two_hours_after_its_creation_unless_it_has_an_end_of_its_own() {
    let app = app(On::Memory);
    let tenant = tenant_like(&app, "adaptive", json!({}), json!({"session_ttl_policy": "adaptive"})).await;
    let (made, longer) = (
        create(&tenant, json!({"user_id": "u1"})).await,
        create(&tenant, json!({"user_id": "u1", "absolute_ttl": "3h"})).await,
    );
    for _ in 0..27 {
        pass(&app, 250);
        let used = read(&tenant, &made).await;
        assert!(millis(&used, "expires_at") <= millis(&made, "created_at") + 7_200_000, "{used}");
        read(&tenant, &longer).await;
    }
    assert_eq!(read(&tenant, &made).await["ttl"], 7200 - 27 * 250);
    outlast(&app, 450);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
    assert_eq!(read(&tenant, &longer).await["ttl"], 1800);
}

#[tokio::test]
async fn a_used_token_is_forgiven_for_ten_seconds_and_then_ends_the_family() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let bystander = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let first = refresh(&tenant, &made).await.expect(StatusCode::OK);
    pass(&app, 10);
    let again = refresh(&tenant, &made).await.expect(StatusCode::OK);
    assert_eq!(still(again), still(first.clone()), "the grace begins with the first use");
    pass(&app, 1);
    refresh(&tenant, &made).await.refused(401, "refresh_token_reused");
    refresh(&tenant, &first).await.refused(401, "refresh_token_invalid");
    tenant.get(&path(&first)).await.refused(404, "session_not_found");
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    refresh(&tenant, &bystander).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_grace_is_the_last_tokens_alone() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let first = refresh(&tenant, &made).await.expect(StatusCode::OK);
    let second = refresh(&tenant, &first).await.expect(StatusCode::OK);
    refresh(&tenant, &made).await.refused(401, "refresh_token_reused");
    tenant.get(&path(&second)).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn a_refresh_brings_back_a_session_that_ended_by_time() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"cart": [1, 2]}, "refresh": true})).await;
    outlast(&app, 3600);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
    tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.refused(404, "session_not_found");
    for list in ["/v1/sessions", "/v1/users/u1/sessions"] {
        assert_eq!(tenant.get(list).await.expect(StatusCode::OK)["items"], json!([]));
    }
    let back = refresh(&tenant, &made).await.expect(StatusCode::OK);
    assert_eq!((&back["data"], &back["user_id"], &back["ttl"]), (&json!({"cart": [1, 2]}), &json!("u1"), &json!(3600)));
    assert_eq!(read(&tenant, &back).await["created_at"], made["created_at"]);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn revoking_all_ends_what_only_waits_for_its_refresh_token() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    pass(&app, 3601);
    assert_eq!(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)["revoked"], 1);
    refresh(&tenant, &made).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn a_refresh_token_ends_after_its_own_time() {
    let app = app_with(On::Memory, &[("SESSION_REFRESH_TTL", "2h")]);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    assert_eq!(millis(&made, "refresh_expires_at"), millis(&made, "created_at") + 7_200_000);
    pass(&app, 7199);
    let next = refresh(&tenant, &made).await.expect(StatusCode::OK);
    assert_eq!(millis(&next, "refresh_expires_at"), millis(&made, "refresh_expires_at") + 7_199_000);
    outlast(&app, 7200);
    refresh(&tenant, &next).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn an_idempotency_key_is_remembered_for_a_day() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "key-1");
    let body = json!({"user_id": "u1"});
    let first = keyed.post("/v1/sessions", body.clone()).await.expect(StatusCode::CREATED);
    pass(&app, 24 * 3600 - 1);
    let replayed = keyed.post("/v1/sessions", body.clone()).await;
    assert_eq!((replayed.header("idempotency-replayed"), replayed.json()["id"].clone()), ("true", first["id"].clone()));
    outlast(&app, 1);
    let fresh = keyed.post("/v1/sessions", body).await;
    assert_eq!(fresh.header("idempotency-replayed"), "");
    assert_ne!(text(&fresh.expect(StatusCode::CREATED), "id"), text(&first, "id"));
}

#[tokio::test]
async fn a_user_at_the_limit_may_have_another_session_when_one_has_ended() {
    let variables = [("SESSION_MAX_PER_USER", "1"), ("SESSION_LIMIT_POLICY", "reject")];
    let app = app_with(On::Memory, &variables);
    let tenant = app.tenant().await;
    create(&tenant, json!({"user_id": "u1", "ttl": 60})).await;
    tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.refused(409, "session_limit_reached");
    outlast(&app, 60);
    create(&tenant, json!({"user_id": "u1"})).await;
}
