//! The SDK for servers in JavaScript: `@openfeature/ofrep-provider` 0.1.3.

use super::checks::{failed, found};
use super::installed::{NODE, script};
use super::script::Script;
use super::{
    Client, any, asks_nothing_while_told_to_wait, evaluates_as_told, falls_back_while_there_is_no_room, shop, strict,
};
use crate::harness::app::App;
use serde_json::{Value, json};
use std::process::Command;

/// What it says of an answer that it does not understand.
const UNEXPECTED: &str = "The OFREP response does not match the expected format";

fn client(app: &App, key: &str) -> Option<Script> {
    let modules = NODE.installed()?.join("node_modules");
    let mut command = Command::new("node");
    command.arg(script("server.cjs")).env_clear().env("NODE_PATH", modules);
    Some(Script::start(command, app, key))
}

/// What it makes of some answers.
fn differences() -> Vec<(&'static str, Value)> {
    let mismatch = "Expected flag type boolean but got string";
    vec![
        // The language has one type of number.
        ("a float that is whole", found(json!(1), "one", "DEFAULT")),
        // An answer without a value is none for this version, so the code's default comes with a failure.
        ("a flag that defers to the code", failed(json!(true), "GENERAL", UNEXPECTED)),
        ("another type than the flag's", failed(json!(true), "TYPE_MISMATCH", mismatch)),
    ]
}

#[tokio::test]
async fn the_server_sdk_for_javascript_evaluates_flags() {
    let (app, tenant) = shop().await;
    let Some(mut client) = client(&app, &tenant.secret) else { return };
    evaluates_as_told(&mut client, &differences()).await;
}

fn refused(message: &str) -> Value {
    failed(json!(false), "GENERAL", message)
}

#[tokio::test]
async fn the_server_sdk_for_javascript_falls_back_to_the_code_where_its_key_is_refused() {
    let (app, _) = shop().await;
    let other = app.tenant_with(&["sessions:read"]).await;
    let Some(mut unknown) = client(&app, "nobody's") else { return };
    assert_eq!(unknown.ask(&any()).await, refused(""));
    let Some(mut without_scope) = client(&app, &other.secret) else { return };
    assert_eq!(without_scope.ask(&any()).await, refused(""));
}

#[tokio::test]
async fn the_server_sdk_for_javascript_waits_when_told_to() {
    let app = strict();
    let Some(mut client) = client(&app, "nobody's") else { return };
    asks_nothing_while_told_to_wait(&app, &mut client, &refused(""), "OFREP evaluation paused").await;
}

#[tokio::test]
async fn the_server_sdk_for_javascript_falls_back_to_the_code_while_there_is_no_room() {
    falls_back_while_there_is_no_room(async |app: &App, key: &str| client(app, key), "GENERAL", UNEXPECTED).await;
}
