//! Rate limits over HTTP: the same expectations of every backend. Windows are long, so that none ends while a test
//! runs; what needs a clock that can be moved runs on memory alone.

mod checks;
mod enforce;
mod many;
mod outage;
mod policies;
mod refusals;
mod reservations;
mod several;

use super::segment;
use crate::harness::app::Caller;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Longer than any test runs.
const LONG: &str = "10d";

/// Asks for one unit of ten.
fn one_of(limit: u64, key: &str) -> Value {
    json!({"key": key, "limit": limit, "window": LONG})
}

/// Asks, and counts if it is allowed.
async fn check(caller: &Caller, body: Value) -> Value {
    caller.post("/v1/ratelimit/check", body).await.expect(StatusCode::OK)
}

/// The query that asks the same as this body.
fn query(body: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs =
        body.as_object().expect("one check").iter().map(|(name, value)| format!("{name}={}", segment(&text(value))));
    pairs.collect::<Vec<_>>().join("&")
}

/// How a check would be answered.
async fn peek(caller: &Caller, body: &Value) -> Value {
    caller.get(&format!("/v1/ratelimit?{}", query(body))).await.expect(StatusCode::OK)
}

/// How much is used of this.
async fn used(caller: &Caller, body: &Value) -> u64 {
    peek(caller, body).await["current"].as_u64().expect("a number")
}

/// Keeps a policy.
async fn policy(caller: &Caller, name: &str, body: Value) -> Value {
    let answer = caller.put(&format!("/v1/ratelimit/policies/{}", segment(name)), body).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.json()
}
