//! The SDK for Python: `openfeature-provider-ofrep` 0.3.0.

use super::checks::failed;
use super::installed::{PYTHON, script};
use super::script::Script;
use super::{
    Client, any, asks_nothing_while_told_to_wait, evaluates_as_told, falls_back_while_there_is_no_room, shop, strict,
};
use crate::harness::app::App;
use serde_json::{Value, json};
use std::process::Command;

fn client(app: &App, key: &str) -> Option<Script> {
    let mut command = Command::new(PYTHON.installed()?.join("bin/python"));
    command.arg(script("server.py")).env_clear();
    Some(Script::start(command, app, key))
}

/// What it makes of some answers.
fn differences() -> Vec<(&'static str, Value)> {
    let mismatch = "Expected type <class 'bool'> but got <class 'str'>";
    vec![("another type than the flag's", failed(json!(true), "TYPE_MISMATCH", mismatch))]
}

#[tokio::test]
async fn the_sdk_for_python_evaluates_flags() {
    let (app, tenant) = shop().await;
    let Some(mut client) = client(&app, &tenant.secret) else { return };
    evaluates_as_told(&mut client, &differences()).await;
}

fn refused(message: &str) -> Value {
    failed(json!(false), "GENERAL", message)
}

#[tokio::test]
async fn the_sdk_for_python_falls_back_to_the_code_where_its_key_is_refused() {
    let (app, _) = shop().await;
    let other = app.tenant_with(&["sessions:read"]).await;
    let Some(mut unknown) = client(&app, "nobody's") else { return };
    assert_eq!(unknown.ask(&any()).await, refused("unauthorized"));
    let Some(mut without_scope) = client(&app, &other.secret) else { return };
    assert_eq!(without_scope.ask(&any()).await, refused("forbidden"));
}

#[tokio::test]
async fn the_sdk_for_python_waits_when_told_to() {
    let app = strict();
    let Some(mut client) = client(&app, "nobody's") else { return };
    asks_nothing_while_told_to_wait(&app, &mut client, &refused("unauthorized"), "OFREP evaluation paused").await;
}

#[tokio::test]
async fn the_sdk_for_python_falls_back_to_the_code_while_there_is_no_room() {
    falls_back_while_there_is_no_room(async |app: &App, key: &str| client(app, key), "GENERAL", "tenant_busy").await;
}
