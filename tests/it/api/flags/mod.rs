//! Feature flags over HTTP, on every backend.

mod bulk;
mod definitions;
mod evaluation;
mod events;
mod explain;
mod history;
mod outage;
mod refusals;
mod spreading;
mod stats;

use crate::harness::app::Caller;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A flag that is on.
fn switch() -> Value {
    json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"})
}

/// A flag that is on for those of a plan.
fn for_plan(plan: &str) -> Value {
    let mut flag = switch();
    flag["targeting"] = json!({"if": [{"==": [{"var": "plan"}, plan]}, "on", "off"]});
    flag
}

/// A flag with four colours, a quarter each.
fn colour() -> Value {
    let share = |colour: &str| json!([colour, 25]);
    json!({
        "state": "ENABLED",
        "variants": {"red": "#f00", "blue": "#00f", "green": "#0f0", "yellow": "#ff0"},
        "defaultVariant": "red",
        "targeting": {"fractional": [
            {"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]},
            share("red"), share("blue"), share("green"), share("yellow"),
        ]},
    })
}

/// Puts a flag, which is not there yet.
async fn put(caller: &Caller, key: &str, flag: Value) -> Value {
    caller.put(&format!("/v1/flags/{}", super::segment(key)), flag).await.expect(StatusCode::CREATED)
}

/// Evaluates a flag.
async fn evaluate(caller: &Caller, key: &str, context: Value) -> Value {
    let path = format!("/ofrep/v1/evaluate/flags/{}", super::segment(key));
    caller.post(&path, json!({"context": context})).await.expect(StatusCode::OK)
}

/// The whole set as it is stored, and its version.
async fn everything(caller: &Caller) -> (Value, String) {
    let answer = caller.get("/v1/flagset").await;
    (answer.expect(StatusCode::OK), answer.header("etag").to_owned())
}
