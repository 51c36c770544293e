//! One session from its creation to its end.

use super::{app_with, backend_of, create, millis, path, peek, segment, still, suite, text};
use crate::harness::app::{App, Caller, On};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

suite! {
    a_created_session_has_the_documented_shape_and_its_location_resolves
    a_session_is_created_with_what_was_given
    stored_json_comes_back_as_it_was_written
    each_session_gets_an_id_of_its_own
    a_given_id_names_the_session_and_can_be_taken_once
    ids_like_the_servers_own_are_reserved
    head_says_whether_a_session_is_there
    an_extended_session_ends_at_its_new_time
    a_rotated_session_has_a_new_id_and_the_old_one_is_invalid_at_once
    a_session_may_be_called_like_an_endpoint
    a_session_ends_when_its_lifetime_is_over
    another_tenant_sees_and_changes_nothing
    a_second_server_sees_what_the_first_one_wrote
}

async fn a_created_session_has_the_documented_shape_and_its_location_resolves(app: App) {
    let tenant = app.tenant().await;
    let answer = tenant.post("/v1/sessions", json!({"user_id": "u1"})).await;
    let made = answer.expect(StatusCode::CREATED);
    let mut members: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let documented = [
        "absolute_expires_at",
        "created_at",
        "data",
        "expires_at",
        "id",
        "last_activity",
        "metadata",
        "ref",
        "ttl",
        "user_id",
        "version",
    ];
    assert_eq!(members, documented);
    assert_eq!((&made["user_id"], &made["version"], &made["ttl"]), (&json!("u1"), &json!(1), &json!(3600)));
    assert_eq!(
        (&made["data"], &made["metadata"], &made["absolute_expires_at"]),
        (&json!({}), &json!({}), &Value::Null)
    );
    assert!(text(&made, "id").starts_with("ses_") && text(&made, "id").len() == 49, "{made}");
    assert_eq!(made["created_at"], made["last_activity"]);
    assert_eq!(millis(&made, "expires_at") - millis(&made, "last_activity"), 3_600_000);
    assert!(text(&made, "created_at").ends_with('Z') && text(&made, "created_at").len() == 24, "{made}");

    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
    let found = tenant.get(answer.header("location")).await;
    assert_eq!(still(found.expect(StatusCode::OK)), still(made));
    assert_eq!((found.header("etag"), found.header("cache-control")), ("\"1\"", "no-store"));
}

async fn a_session_is_created_with_what_was_given(app: App) {
    let tenant = app.tenant().await;
    let metadata = json!({"ip_address": "192.0.2.1", "user_agent": "a \"browser\"", "device_type": "phone"});
    let body = json!({"user_id": "u1", "data": {"cart": [1, {"n": null}], "é": "🦀"}, "metadata": metadata,
        "ttl": "2m", "absolute_ttl": 60});
    let made = create(&tenant, body).await;
    assert_eq!((&made["data"], &made["metadata"]), (&json!({"cart": [1, {"n": null}], "é": "🦀"}), &metadata));
    assert_eq!(millis(&made, "absolute_expires_at") - millis(&made, "created_at"), 60_000);
    assert_eq!(made["expires_at"], made["absolute_expires_at"], "no session outlives its absolute end");
    assert_eq!(made["ttl"], 60);
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made));
}

async fn stored_json_comes_back_as_it_was_written(app: App) {
    let tenant = app.tenant().await;
    let data =
        r#"{"big":123456789012345678901234567890,"e":1.50e+2,"zero":-0.0,"deep":[[[1,2.0]]],"s":"\u0000\u001f\\\"é"}"#;
    let body = format!(r#"{{"user_id":"u1","data":{data}}}"#);
    let made = tenant.send(Method::POST, "/v1/sessions", Some(body.into_bytes())).await;
    assert!(made.text.contains(data), "{}", made.text);
    let read = tenant.get(&path(&made.expect(StatusCode::CREATED))).await;
    assert!(read.text.contains(data), "{}", read.text);
}

async fn each_session_gets_an_id_of_its_own(app: App) {
    let tenant = app.tenant().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..20 {
        let made = create(&tenant, json!({"user_id": "u1"})).await;
        assert!(ids.insert(text(&made, "id").to_owned()) && ids.insert(text(&made, "ref").to_owned()));
    }
}

async fn a_given_id_names_the_session_and_can_be_taken_once(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "id": "mine", "data": {"n": 1}})).await;
    assert_eq!(made["id"], "mine");
    let again = json!({"user_id": "u2", "id": "mine", "data": {"n": 2}});
    tenant.post("/v1/sessions", again.clone()).await.refused(409, "session_exists");
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made.clone()));
    tenant.delete(&path(&made)).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(create(&tenant, again).await["user_id"], "u2");
}

async fn ids_like_the_servers_own_are_reserved(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    for id in ["ses_", "ses_mine", "sref_mine", text(&made, "ref")] {
        let problem =
            tenant.post("/v1/sessions", json!({"user_id": "u1", "id": id})).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/id");
        let path = format!("/v1/sessions/{}", segment(id));
        tenant.put(&path, json!({"user_id": "u1"})).await.refused(400, "invalid_name");
        tenant.get(&path).await.refused(404, "session_not_found");
    }
}

async fn head_says_whether_a_session_is_there(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let there = tenant.head(&path(&made)).await;
    assert_eq!((there.status.as_u16(), there.text.as_str()), (200, ""));
    tenant.delete(&path(&made)).await.expect(StatusCode::NO_CONTENT);
    let gone = tenant.head(&path(&made)).await;
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (404, ""));
}

async fn an_extended_session_ends_at_its_new_time(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}})).await;
    let extend = format!("{}/extend", path(&made));
    let longer = tenant.post(&extend, json!({"ttl": "2h"})).await.expect(StatusCode::OK);
    assert_eq!(millis(&longer, "expires_at") - millis(&longer, "last_activity"), 7_200_000);
    assert_eq!((&longer["ttl"], &longer["data"], &longer["version"]), (&json!(7200), &json!({"n": 1}), &json!(1)));
    let shorter = tenant.post(&extend, json!({"ttl": 60})).await.expect(StatusCode::OK);
    assert_eq!(millis(&shorter, "expires_at") - millis(&shorter, "last_activity"), 60_000);
    let same = tenant.send(Method::POST, &extend, None).await.expect(StatusCode::OK);
    assert_eq!(
        millis(&same, "expires_at") - millis(&same, "last_activity"),
        60_000,
        "the time it was given stays its own"
    );
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(same));
    tenant.post("/v1/sessions/nobody/extend", json!({"ttl": 60})).await.refused(404, "session_not_found");
}

async fn a_rotated_session_has_a_new_id_and_the_old_one_is_invalid_at_once(app: App) {
    let tenant = app.tenant().await;
    for given in [json!({"user_id": "u1", "data": {"n": 1}}), json!({"user_id": "u1", "id": "mine", "data": {"n": 1}})]
    {
        let made = create(&tenant, given).await;
        let rotated = tenant.send(Method::POST, &format!("{}/rotate", path(&made)), None).await.expect(StatusCode::OK);
        assert!(
            text(&rotated, "id").starts_with("ses_") && rotated["id"] != made["id"] && rotated["ref"] != made["ref"]
        );
        for kept in ["user_id", "data", "metadata", "version", "created_at"] {
            assert_eq!(rotated[kept], made[kept], "{kept}");
        }
        tenant.get(&path(&made)).await.refused(404, "session_not_found");
        tenant.delete(&format!("/v1/sessions/{}", text(&made, "ref"))).await.refused(404, "session_not_found");
        tenant.send(Method::POST, &format!("{}/rotate", path(&made)), None).await.refused(404, "session_not_found");
        assert_eq!(still(tenant.get(&peek(&rotated)).await.expect(StatusCode::OK)), still(rotated.clone()));
        tenant.delete(&path(&rotated)).await.expect(StatusCode::NO_CONTENT);
    }
}

async fn a_session_may_be_called_like_an_endpoint(app: App) {
    let tenant = app.tenant().await;
    for name in ["batch", "refresh", "extend", "sessions"] {
        let path = format!("/v1/sessions/{name}");
        let put = tenant.put(&path, json!({"user_id": "u1", "data": {"a": 1}})).await.expect(StatusCode::CREATED);
        assert_eq!(put["id"], name);
        assert_eq!(tenant.head(&path).await.status, StatusCode::OK);
        let patched = tenant.patch(&path, json!({"data": {"b": 2}})).await.expect(StatusCode::OK);
        assert_eq!(patched["data"], json!({"a": 1, "b": 2}));
        assert_eq!(tenant.get(&path).await.expect(StatusCode::OK)["version"], 2);
        let extended = tenant.post(&format!("{path}/extend"), json!({"ttl": 60})).await.expect(StatusCode::OK);
        assert_eq!(extended["ttl"], 60);
        tenant.delete(&path).await.expect(StatusCode::NO_CONTENT);
        tenant.get(&path).await.refused(404, "session_not_found");
    }
}

/// Until the session has ended: on memory its clock is moved, elsewhere time passes.
async fn ended(app: &App, tenant: &Caller, path: &str, lifetime: Duration) {
    if backend_of(app) == On::Memory {
        app.clock.advance(lifetime + Duration::from_millis(1));
    }
    let begun = Instant::now();
    while tenant.head(path).await.status == StatusCode::OK {
        assert!(begun.elapsed() < lifetime + Duration::from_secs(10), "{path} outlives its time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_session_ends_when_its_lifetime_is_over(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "id": "short", "ttl": "300ms"})).await;
    ended(&app, &tenant, &path(&made), Duration::from_millis(300)).await;
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
    tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.refused(404, "session_not_found");
    tenant.post(&format!("{}/extend", path(&made)), json!({"ttl": 60})).await.refused(404, "session_not_found");
    tenant.delete(&path(&made)).await.refused(404, "session_not_found");
    for list in ["/v1/sessions", "/v1/users/u1/sessions"] {
        assert_eq!(tenant.get(list).await.expect(StatusCode::OK)["items"], json!([]));
    }
    assert_eq!(create(&tenant, json!({"user_id": "u2", "id": "short"})).await["version"], 1, "its id is free again");
}

async fn another_tenant_sees_and_changes_nothing(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let made = create(&tenant, json!({"user_id": "u1", "id": "shared", "refresh": true, "data": {"n": 1}})).await;
    let (path, reference) = (path(&made), format!("/v1/sessions/{}", text(&made, "ref")));
    other.get(&path).await.refused(404, "session_not_found");
    assert_eq!(other.head(&path).await.status, StatusCode::NOT_FOUND);
    other.patch(&path, json!({"data": {"n": 2}})).await.refused(404, "session_not_found");
    other.post(&format!("{path}/extend"), json!({})).await.refused(404, "session_not_found");
    other.post(&format!("{path}/rotate"), json!({})).await.refused(404, "session_not_found");
    other.delete(&path).await.refused(404, "session_not_found");
    other.delete(&reference).await.refused(404, "session_not_found");
    let batch = other.post("/v1/sessions/batch", json!({"get": ["shared"]})).await.expect(StatusCode::OK);
    assert_eq!(batch["items"], json!([null]));
    let batch =
        other.post("/v1/sessions/batch", json!({"delete": ["shared", made["ref"]]})).await.expect(StatusCode::OK);
    assert_eq!(batch["deleted"], 0);
    let token = json!({"refresh_token": made["refresh_token"]});
    other.post("/v1/sessions/refresh", token).await.refused(401, "refresh_token_invalid");
    assert_eq!(other.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)["revoked"], 0);
    for list in ["/v1/sessions", "/v1/users/u1/sessions"] {
        assert_eq!(other.get(list).await.expect(StatusCode::OK)["items"], json!([]));
    }
    other.put(&path, json!({"user_id": "u1", "data": {"n": 3}})).await.expect(StatusCode::CREATED);
    let unchanged = tenant.get(&peek(&made)).await.expect(StatusCode::OK);
    assert_eq!((&unchanged["data"], &unchanged["version"]), (&json!({"n": 1}), &json!(1)));
    other.delete(&path).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(tenant.head(&path).await.status, StatusCode::OK);
}

async fn a_second_server_sees_what_the_first_one_wrote(app: App) {
    if backend_of(&app) == On::Memory {
        // Its data ends with the process: there is nothing to share.
        return;
    }
    let prefix = [("REDIS_KEY_PREFIX", "shared-by-two-servers")];
    let (one, two) = (app_with(backend_of(&app), &prefix), app_with(backend_of(&app), &prefix));
    let here = one.tenant().await;
    let there = two.anyone().with("authorization", &format!("Bearer {}", here.secret));
    let made = create(&here, json!({"user_id": "u1"})).await;
    let patched = there.patch(&path(&made), json!({"data": {"n": 1}})).await.expect(StatusCode::OK);
    assert_eq!(still(here.get(&peek(&made)).await.expect(StatusCode::OK))["data"], patched["data"]);
    there.delete(&path(&made)).await.expect(StatusCode::NO_CONTENT);
    here.get(&path(&made)).await.refused(404, "session_not_found");
}
