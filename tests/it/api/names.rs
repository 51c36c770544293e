//! Names that try to be more than names: patterns, separators, hash tags, paths.

use super::raw::exchange;
use super::{create, path, peek, segment, still, suite, text};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Names that mean something to Redis, to a path, to JSON or to a terminal.
const HOSTILE: &[&str] = &[
    "*",
    "?",
    "[a-z]",
    "{}",
    "{user}",
    "a{b}c",
    "}{",
    ":",
    "a:b",
    "a:b:",
    "/",
    "a/b",
    "/etc/passwd",
    "...",
    "a/../b",
    "%",
    "%2F",
    "%00",
    "%zz",
    "\"quoted\"",
    "'quoted'",
    " ",
    " a ",
    "a b",
    "naïve",
    "🦀🦀",
    "e\u{301}",
    "\u{e9}",
    "\u{200b}",
    "\u{202e}",
    "<script>",
    "$(id)",
    "`id`",
    "\\",
    "\\x00",
    "null",
    "-1",
    "#fragment",
    "?query=1",
    "a&b=c",
    "+",
    ";",
    "batch",
    "~",
    "user-sessions",
    "..;/",
];

suite! {
    any_name_names_one_session_and_no_other
    any_name_names_one_user_and_no_other
    the_longest_name_is_taken_and_a_longer_one_is_not
    a_name_of_dots_is_a_name
    a_pattern_in_a_name_reaches_nobody_else
}

async fn any_name_names_one_session_and_no_other(app: App) {
    let tenant = app.tenant().await;
    let mut made: Vec<Value> = Vec::new();
    for name in HOSTILE {
        let answer = tenant.post("/v1/sessions", json!({"user_id": "u1", "id": name, "data": {"name": name}})).await;
        let session = answer.expect(StatusCode::CREATED);
        assert_eq!(session["id"], *name);
        let found = tenant.get(answer.header("location")).await.expect(StatusCode::OK);
        assert_eq!(still(found), still(session.clone()), "{name}");
        made.push(session);
    }
    let references: BTreeSet<_> = made.iter().map(|session| text(session, "ref")).collect();
    assert_eq!(references.len(), HOSTILE.len(), "each is its own");
    let batch = tenant.post("/v1/sessions/batch", json!({"get": HOSTILE})).await.expect(StatusCode::OK);
    let items: Vec<_> = batch["items"].as_array().unwrap().iter().cloned().map(still).collect();
    assert_eq!(items, made.iter().cloned().map(still).collect::<Vec<_>>());

    for (place, session) in made.iter().enumerate() {
        let patched = tenant.patch(&path(session), json!({"data": {"seen": true}})).await.expect(StatusCode::OK);
        assert_eq!(patched["data"], json!({"name": session["id"], "seen": true}));
        tenant.delete(&path(session)).await.expect(StatusCode::NO_CONTENT);
        tenant.get(&path(session)).await.refused(404, "session_not_found");
        let left = tenant.get("/v1/users/u1/sessions").await.expect(StatusCode::OK);
        assert_eq!(left["items"].as_array().unwrap().len(), HOSTILE.len() - place - 1, "{session}");
    }
}

async fn any_name_names_one_user_and_no_other(app: App) {
    let tenant = app.tenant().await;
    for user in HOSTILE {
        assert_eq!(create(&tenant, json!({"user_id": user})).await["user_id"], *user);
    }
    for (place, user) in HOSTILE.iter().enumerate() {
        let sessions = format!("/v1/users/{}/sessions", segment(user));
        let list = tenant.get(&sessions).await.expect(StatusCode::OK);
        let users: Vec<_> = list["items"].as_array().unwrap().iter().map(|session| &session["user_id"]).collect();
        assert_eq!(users, [*user]);
        assert_eq!(tenant.delete(&sessions).await.expect(StatusCode::OK)["revoked"], 1, "{user}");
        let left = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        assert_eq!(left["items"].as_array().unwrap().len(), HOSTILE.len() - place - 1, "{user}");
    }
}

async fn the_longest_name_is_taken_and_a_longer_one_is_not(app: App) {
    let tenant = app.tenant().await;
    for name in ["x".repeat(256), "é".repeat(128), "*".repeat(256)] {
        let session = create(&tenant, json!({"user_id": name, "id": name})).await;
        assert_eq!(still(tenant.get(&peek(&session)).await.expect(StatusCode::OK)), still(session));
        let longer = format!("{name}x");
        tenant.get(&format!("/v1/sessions/{}", segment(&longer))).await.refused(400, "invalid_name");
        tenant.post("/v1/sessions", json!({"user_id": longer})).await.refused(422, "validation_failed");
    }
}

async fn a_name_of_dots_is_a_name(app: App) {
    let tenant = app.tenant().await;
    let key = format!("authorization: Bearer {}", tenant.secret);
    // Client libraries resolve dots before they send; whoever does not gets what was asked for.
    for name in [".", ".."] {
        let made = create(&tenant, json!({"user_id": name, "id": name})).await;
        for written in [name.to_owned(), name.replace('.', "%2E")] {
            let read = exchange(&app, &format!("GET /v1/sessions/{written}?touch=false"), &[&key], b"").await;
            assert_eq!(read.status, 200, "{}", read.text);
            assert!(read.text.contains(text(&made, "ref")), "{}", read.text);
            let list = exchange(&app, &format!("GET /v1/users/{written}/sessions"), &[&key], b"").await;
            assert!(list.status == 200 && list.text.contains(text(&made, "ref")), "{}", list.text);
        }
    }
    // An encoded slash is part of the name, not of the path.
    let climbed = exchange(&app, "GET /v1/sessions/x%2F..%2F.", &[&key], b"").await;
    assert_eq!(climbed.status, 404);
    assert!(climbed.text.contains("session_not_found"), "{}", climbed.text);
}

async fn a_pattern_in_a_name_reaches_nobody_else(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let victim = create(&other, json!({"user_id": "victim", "id": "victim", "refresh": true})).await;
    let near = create(&tenant, json!({"user_id": "near", "id": "near"})).await;
    let patterns = [
        "*".to_owned(),
        "*:*".to_owned(),
        "?".repeat(4),
        "[a-z]*".to_owned(),
        format!("{}:near", other.id),
        format!("../{}/victim", other.id),
        format!("{{{}}}", other.id),
        "near*".to_owned(),
        "near\u{200b}".to_owned(),
    ];
    for pattern in &patterns {
        let (session, user) =
            (format!("/v1/sessions/{}", segment(pattern)), format!("/v1/users/{}/sessions", segment(pattern)));
        tenant.get(&session).await.refused(404, "session_not_found");
        tenant.delete(&session).await.refused(404, "session_not_found");
        assert_eq!(tenant.get(&user).await.expect(StatusCode::OK)["items"], json!([]), "{pattern}");
        assert_eq!(tenant.delete(&user).await.expect(StatusCode::OK)["revoked"], 0, "{pattern}");
    }
    let batch = tenant.post("/v1/sessions/batch", json!({"delete": patterns})).await.expect(StatusCode::OK);
    assert_eq!(batch["deleted"], 0);
    assert_eq!(other.head(&path(&victim)).await.status, StatusCode::OK);
    assert_eq!(tenant.head(&path(&near)).await.status, StatusCode::OK);
}
