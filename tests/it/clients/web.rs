//! The SDK for browsers in JavaScript: `@openfeature/ofrep-web-provider` 0.4.3, which asks for all flags at once and
//! evaluates from what it was answered.

use super::checks::{failed, found, of_set};
use super::installed::{NODE, script};
use super::script::Script;
use super::{Client, PATIENCE, answers_of, any, evaluates_as_told, shop};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const ALL: &str = "/ofrep/v1/evaluate/flags";

/// How it learns of changes.
#[derive(Clone, Copy)]
enum Learns {
    Never,
    /// It asks every 50 ms.
    ByPolling,
    /// It is told by the stream that the answer announces.
    ByEvents,
}

fn client(app: &App, key: &str, learns: Learns) -> Option<Script> {
    let modules = NODE.installed()?.join("node_modules");
    let mut command = Command::new("node");
    let detection = match learns {
        Learns::Never => "none",
        Learns::ByPolling => "polling",
        Learns::ByEvents => "sse",
    };
    command.arg(script("web.cjs")).env_clear().env("NODE_PATH", modules).env("CHANGE_DETECTION", detection);
    Some(Script::start(command, app, key))
}

/// What it makes of some answers.
fn differences() -> Vec<(&'static str, Value)> {
    // What it finds out by itself, it finds out in the set, and tells with what is said of the set.
    let unknown = failed(json!(true), "FLAG_NOT_FOUND", "Flag was not found");
    let mismatch = failed(json!(true), "TYPE_MISMATCH", "Flag is not of expected type");
    let with_set = |mut details: Value| {
        details["flagMetadata"] = of_set();
        details
    };
    vec![
        // The language has one type of number.
        ("a float that is whole", found(json!(1), "one", "DEFAULT")),
        ("a flag that nobody knows", with_set(unknown)),
        ("another type than the flag's", with_set(mismatch)),
    ]
}

#[tokio::test]
async fn the_sdk_for_browsers_evaluates_flags() {
    let (app, tenant) = shop().await;
    let Some(mut client) = client(&app, &tenant.secret, Learns::Never) else { return };
    evaluates_as_told(&mut client, &differences()).await;
}

#[tokio::test]
async fn the_sdk_for_browsers_gives_up_where_its_key_is_refused() {
    let (app, _) = shop().await;
    let other = app.tenant_with(&["sessions:read"]).await;
    let mut refused = 0;
    for key in ["nobody's", &other.secret] {
        let Some(mut client) = client(&app, key, Learns::ByPolling) else { return };
        let message = "provider is in an irrecoverable error state";
        assert_eq!(client.ask(&any()).await, failed(json!(false), "PROVIDER_FATAL", message));
        refused += 1;
        assert_eq!(answers_of(&app, ALL, "4xx").await, refused, "it does not ask again");
    }
}

#[tokio::test]
async fn the_sdk_for_browsers_is_sent_again_only_what_changed() {
    let (app, tenant) = shop().await;
    let Some(mut client) = client(&app, &tenant.secret, Learns::ByPolling) else { return };
    let asked = |plan: &str| {
        let context = json!({"targetingKey": "u-1", "plan": plan, "age": 18});
        json!({"flag": "targeted", "type": "boolean", "otherwise": true, "context": context})
    };
    assert_eq!(client.ask(&asked("free")).await["value"], false);
    assert_eq!(polls(&app).await, 1, "unchanged, it is not sent again");
    assert_eq!(client.ask(&asked("premium")).await["value"], true);
    // Its next question may come between, for the new context with the old tag.
    let sent = polls(&app).await;
    assert!((2..=3).contains(&sent), "{sent}");
    let off = json!({"state": "DISABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"});
    tenant.put("/v1/flags/targeted", off).await.expect(StatusCode::OK);
    // The other context may have been told as a change too.
    while client.ask(&asked("premium")).await["reason"] != "DISABLED" {
        client.ask(&json!({"await": "change"})).await;
    }
    assert_eq!(client.ask(&asked("premium")).await["value"], false);
    assert_eq!(polls(&app).await, sent + 1, "once for what changed");
}

/// Waits until the client has asked twice more and was told both times that nothing has changed; how often it was sent
/// all flags.
async fn polls(app: &App) -> u64 {
    let (begun, before) = (Instant::now(), answers_of(app, ALL, "3xx").await);
    while answers_of(app, ALL, "3xx").await < before + 2 {
        assert!(begun.elapsed() < PATIENCE, "it is not told that nothing has changed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers_of(app, ALL, "2xx").await
}

#[tokio::test]
async fn the_sdk_for_browsers_is_told_of_changes_by_events() {
    let (app, tenant) = shop().await;
    let Some(mut client) = client(&app, &tenant.secret, Learns::ByEvents) else { return };
    assert_eq!(client.ask(&any()).await["value"], true);
    let off = json!({"state": "DISABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off"});
    tenant.put("/v1/flags/boolean", off).await.expect(StatusCode::OK);
    client.ask(&json!({"await": "change"})).await;
    let changed = client.ask(&any()).await;
    assert_eq!((&changed["value"], &changed["reason"]), (&json!(false), &json!("DISABLED")));
    assert_eq!(answers_of(&app, ALL, "2xx").await, 2, "it asked once when it started, and once when it was told");
}
