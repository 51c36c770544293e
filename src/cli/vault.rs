//! `agentapi vault`: which keys there are, new ones, and everything under the newest.

use super::admin_api::{AdminApi, AdminApiSettings};
use super::{Flags, MISCONFIGURED, complain, print};
use crate::base::env::{Env, Variable};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// From one look at a job to the next.
const LOOK: Duration = Duration::from_millis(500);

struct Settings {
    admin_api: AdminApiSettings,
    tenant: Option<String>,
    json: bool,
}

impl Settings {
    fn read(env: &mut Env) -> Settings {
        Settings {
            admin_api: AdminApiSettings::read(env),
            tenant: env.text(Variable::new("AGENTAPI_TENANT", "One tenant alone.")),
            json: env.flag(Variable::new("AGENTAPI_JSON", "Whether to print JSON.")).unwrap_or_default(),
        }
    }
}

/// Runs `agentapi vault WHAT`: 1 when it failed, or left something undone; 2 when it was called wrongly.
pub(super) fn run(what: &str, flags: Flags) -> ExitCode {
    // Variables of these names mean something else in many an environment, so there they have a longer one.
    let named = |(name, value): (String, String)| match name.as_str() {
        "URL" | "TENANT" | "JSON" => (format!("AGENTAPI_{name}"), value),
        _ => (name, value),
    };
    let settings = match super::read(flags.into_iter().map(named).collect(), Settings::read) {
        Ok(settings) => settings,
        Err(mistakes) => return complain(&mistakes.to_string(), MISCONFIGURED),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return complain("no runtime can be made", 1);
    };
    let ran = runtime.block_on(async {
        let api = AdminApi::new(settings.admin_api)?;
        let (tenant, json) = (settings.tenant.as_deref(), settings.json);
        match what {
            "status" => status(&api, tenant, json).await,
            "rotate" | "rewrap" => job(&api, what, tenant, json).await,
            _ => Err("there is no such command; see agentapi help".to_owned()),
        }
    });
    ran.unwrap_or_else(|why| complain(&why, 1))
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
async fn job(api: &AdminApi, what: &str, tenant: Option<&str>, json: bool) -> Result<ExitCode, String> {
    let mut body = Map::new();
    if let Some(tenant) = tenant {
        body.insert("tenant".to_owned(), tenant.into());
    }
    let mut job = api.post(&format!("/admin/v1/vault/{what}"), &Value::Object(body)).await?;
    let path = format!("/admin/v1/jobs/{}", shown(&job, "id"));
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {per_sec} eta {eta}");
    bar.set_style(style.map_err(|_| "the progress bar is none")?.progress_chars("=> "));
    bar.set_prefix(format!("vault {what}"));
    while matches!(job.get("state").and_then(Value::as_str), Some("waiting" | "running")) {
        follow(&bar, &job);
        tokio::time::sleep(LOOK).await;
        job = api.get(&path).await?;
    }
    follow(&bar, &job);
    bar.finish_and_clear();
    let (state, done, note) = (shown(&job, "state"), shown(&job, "done"), job.get("error").and_then(Value::as_str));
    let printed =
        if json { print(&format!("{job}\n")) } else { print(&format!("vault {what} {state}: {done} done\n")) };
    Ok(note.map_or(printed, |note| complain(note, 1)))
}

fn follow(bar: &ProgressBar, job: &Value) {
    if let Some(total) = job.get("total").and_then(Value::as_u64) {
        bar.set_length(total);
    }
    bar.set_position(job.get("done").and_then(Value::as_u64).unwrap_or_default());
}

/// A member as people read it.
fn shown(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    }
}
