//! Lists: a page at a time, without secrets.

use super::{put, token};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    a_list_has_each_token_once_and_no_secret
}

async fn a_list_has_each_token_once_and_no_secret(app: App) {
    let tenant = app.tenant().await;
    let mut body = token();
    body["access_token"] = json!("canary-access");
    body["refresh_token"] = json!("canary-refresh");
    let mut expected: Vec<String> = (0..7).map(|n| format!("p:{n}/é")).collect();
    for provider in &expected {
        put(&tenant, "u", provider, body.clone()).await;
    }
    put(&tenant, "other", "p", body.clone()).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = tenant.get(&format!("/v1/tokens/u?limit=3{cursor}")).await;
        assert!(!answer.text.contains("canary") && answer.header("cache-control") == "no-store", "{answer:?}");
        let page = answer.expect(StatusCode::OK);
        for item in page["items"].as_array().unwrap() {
            assert_eq!(
                (&item["scopes"], &item["key_version"], &item["status"]),
                (&json!(["read", "write"]), &json!(1), &json!("active"))
            );
            seen.push(item["provider"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(tenant.get("/v1/tokens/nobody").await.expect(StatusCode::OK), json!({"items": [], "next_cursor": null}));
}
