//! Breakers with names that try to be more than names.

use super::{acquire, at, configure, fail, force, names, read};
use crate::api::raw::exchange;
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::json;

/// Names that mean something to Redis, to a path, to JSON, to a script or to a terminal.
const HOSTILE: &[&str] = &[
    "*",
    "?",
    "[a-z]",
    "{}",
    "{other:00}",
    "}{",
    ":",
    "a:b",
    "/",
    "a/b",
    "...",
    "../../x",
    "%",
    "%2F",
    "%00",
    "\"q\"",
    "'q'",
    " ",
    " a ",
    "naïve",
    "🦀",
    "e\u{301}",
    "\u{e9}",
    "\u{200b}",
    "\u{202e}",
    "<script>",
    "$(id)",
    "\\",
    "null",
    "-1",
    "#f",
    "?q=1",
    "a&b",
    "+",
    "acquire",
    "report",
    "force",
    "0",
    "-inf",
    "(a",
    "[a",
    "[",
    "-",
    "~",
];

suite! {
    any_name_names_one_breaker_and_no_other
    a_name_of_dots_is_a_name
}

async fn any_name_names_one_breaker_and_no_other(app: App) {
    let tenant = app.tenant().await;
    for (place, name) in HOSTILE.iter().enumerate() {
        let settings = json!({"failure_threshold": 1, "success_threshold": place + 1, "timeout": "1h"});
        assert_eq!(configure(&tenant, name, settings).await["name"], *name);
    }
    let mut sorted = HOSTILE.to_vec();
    sorted.sort_unstable();
    assert_eq!(names(&tenant.get("/v1/breakers").await.expect(StatusCode::OK)), sorted);
    let mut pages = Vec::new();
    let mut cursor = String::new();
    while pages.len() < HOSTILE.len() {
        let page = tenant.get(&format!("/v1/breakers?limit=1{cursor}")).await.expect(StatusCode::OK);
        pages.extend(names(&page).into_iter().map(str::to_owned));
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(pages, sorted, "a cursor holds any name");
    for (place, name) in HOSTILE.iter().enumerate() {
        let before = read(&tenant, name).await;
        assert_eq!(
            (&before["state"], &before["settings"]["success_threshold"]),
            (&json!("closed"), &json!(place + 1)),
            "{name}"
        );
        assert_eq!(acquire(&tenant, name).await["allowed"], true, "{name}");
        assert_eq!(fail(&tenant, name, 1).await, "open", "{name}");
        assert_eq!(acquire(&tenant, name).await["allowed"], false, "{name}");
        assert_eq!(force(&tenant, name, json!({"state": "auto"})).await["state"], "closed", "{name}");
        force(&tenant, name, json!({"state": "open", "reason": name})).await;
    }
    for (place, name) in HOSTILE.iter().enumerate() {
        assert_eq!(read(&tenant, name).await["forced"]["reason"], *name);
        tenant.delete(&at(name)).await.expect(StatusCode::NO_CONTENT);
        let left = tenant.get("/v1/breakers").await.expect(StatusCode::OK);
        assert_eq!(names(&left).len(), HOSTILE.len() - place - 1, "{name}");
    }
}

async fn a_name_of_dots_is_a_name(app: App) {
    let tenant = app.tenant().await;
    let key = format!("X-API-Key: {}", tenant.secret);
    let json_type = "Content-Type: application/json";
    for name in [".", ".."] {
        for written in [name.to_owned(), name.replace('.', "%2e")] {
            // Client libraries resolve dots, encoded or not, before they send them.
            let put =
                exchange(&app, &format!("PUT /v1/breakers/{written}"), &[&key, json_type, "Content-Length: 2"], b"{}")
                    .await;
            assert_eq!(put.status, 200, "{}", put.text);
            assert!(put.text.contains(&format!("{{\"name\":\"{name}\",")), "{}", put.text);
        }
    }
    assert_eq!(names(&tenant.get("/v1/breakers").await.expect(StatusCode::OK)), [".", ".."]);
}
