//! `agentapi vault`: which keys there are, new ones, and everything under the newest.

use super::admin_api::{AdminApi, ask};
use super::job::follow;
use super::output::{complain, print, shown};
use super::{MISCONFIGURED, flags};
use crate::base::env::{Env, Variable};
use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Whom it concerns, if that is one tenant.
pub(super) fn one_tenant(env: &mut Env) -> Option<String> {
    env.text(Variable::new("AGENTAPI_TENANT", "One tenant alone."))
}

/// Runs `agentapi vault WHAT`: 1 when it failed, or left something undone; 2 when it was called wrongly.
pub(super) fn run(what: &str, given: &ArgMatches) -> ExitCode {
    let tenant = match flags::read(given, one_tenant) {
        Ok(tenant) => tenant,
        Err(mistakes) => return complain(&mistakes.to_string(), MISCONFIGURED),
    };
    ask(given, async |api, json| match what {
        "status" => status(api, tenant.as_deref(), json).await,
        _ => change(api, what, tenant.as_deref(), json).await,
    })
}

/// Every page of the census.
async fn status(api: &AdminApi, tenant: Option<&str>, json: bool) -> Result<ExitCode, String> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    let mut root_keys;
    loop {
        let query = match (tenant, &cursor) {
            (Some(tenant), _) => format!("?tenant={tenant}"),
            (None, Some(cursor)) => format!("?cursor={cursor}"),
            (None, None) => String::new(),
        };
        let mut page = api.get(&format!("/admin/v1/vault{query}")).await?;
        root_keys = page.get_mut("root_keys").map(Value::take).unwrap_or_default();
        items.extend(page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if json {
        return Ok(print(&format!("{}\n", json!({"root_keys": root_keys, "items": items}))));
    }
    let (mut text, none) = (String::new(), Vec::new());
    let list = |value: &Value| value.as_array().unwrap_or(&none).clone();
    let mut line = |words: String| {
        let written = writeln!(text, "{words}");
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    };
    for key in list(&root_keys) {
        let state = match (key.get("current") == Some(&json!(true)), key.get("held") == Some(&json!(true))) {
            (true, _) => "current",
            (false, true) => "previous",
            (false, false) => "MISSING",
        };
        line(format!("root key {}  {state}, {} data keys", shown(&key, "id"), shown(&key, "data_keys")));
    }
    for (tenant, key) in items.iter().flat_map(|item| {
        let keys = item.get("data_keys").map(list).unwrap_or_default();
        keys.into_iter().map(move |key| (shown(item, "tenant"), key))
    }) {
        let (version, root, records) = (shown(&key, "version"), shown(&key, "root_key"), shown(&key, "records"));
        line(format!("{tenant}  data key {version}  under {root}, {records} records"));
    }
    Ok(print(&text))
}

/// Starts a job, or joins the one that is under way, and follows it to its end.
async fn change(api: &AdminApi, what: &str, tenant: Option<&str>, json: bool) -> Result<ExitCode, String> {
    let mut body = Map::new();
    if let Some(tenant) = tenant {
        body.insert("tenant".to_owned(), tenant.into());
    }
    let job = api.post(&format!("/admin/v1/vault/{what}"), &Value::Object(body)).await?;
    follow(api, job, &format!("vault {what}"), json).await
}
