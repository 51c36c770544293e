//! Names that mean something to a key, a pattern, a script or a path are names and nothing else.

use super::{at, provider_at, put, read};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    hostile_names_are_kept_apart
}

const HOSTILE: &[&str] = &[
    "*",
    "?",
    "[a-z]*",
    "{x}",
    "}{",
    "a:b",
    "a/b",
    "...",
    "%",
    "%2e",
    "t1:a",
    "o",
    "' OR 1=1 --",
    "ünï©ode",
    "\u{202e}x",
];

async fn hostile_names_are_kept_apart(app: App) {
    let tenant = app.tenant().await;
    // Each user with each of a few providers, among them pairs that are alike when they are put together.
    let mut pairs: Vec<(String, String)> = Vec::new();
    for user in HOSTILE {
        for provider in HOSTILE.iter().take(4) {
            pairs.push(((*user).to_owned(), (*provider).to_owned()));
        }
    }
    pairs.extend([("ab".into(), "c".into()), ("a".into(), "bc".into()), ("x".repeat(256), "y".repeat(256))]);
    for (n, (user, provider)) in pairs.iter().enumerate() {
        put(&tenant, user, provider, json!({"access_token": format!("of {n}")})).await;
    }
    for name in HOSTILE {
        let made = tenant.put(&provider_at(name), super::providers::provider()).await;
        assert_eq!(made.expect(StatusCode::CREATED)["provider"], *name);
    }
    for (n, (user, provider)) in pairs.iter().enumerate() {
        assert_eq!(read(&tenant, user, provider).await["access_token"], format!("of {n}"), "{user} {provider}");
    }
    for (n, (user, provider)) in pairs.iter().enumerate() {
        tenant.delete(&at(user, provider)).await.expect(StatusCode::NO_CONTENT);
        if let Some((user, provider)) = pairs.get(n + 1) {
            assert_eq!(read(&tenant, user, provider).await["access_token"], format!("of {}", n + 1), "it is another");
        }
    }
    assert_eq!(tenant.get("/v1/oauth/providers").await.json()["items"].as_array().unwrap().len(), HOSTILE.len());
}
