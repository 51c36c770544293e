//! Encrypted tokens over HTTP, as a client sees them: the same expectations of every backend.

mod conditions;
mod expiry;
mod leases;
mod life;
mod lists;
mod names;
mod providers;
mod refreshing;
mod refusals;
mod secrets;

use super::segment;
use crate::harness::app::Caller;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The path of a token.
fn at(user: &str, provider: &str) -> String {
    format!("/v1/tokens/{}/{}", segment(user), segment(provider))
}

/// The path of a provider.
fn provider_at(name: &str) -> String {
    format!("/v1/oauth/providers/{}", segment(name))
}

/// A token of alice at google with a refresh token.
fn token() -> Value {
    json!({"access_token": "access", "refresh_token": "refresh", "scopes": ["read", "write"], "expires_in": "1h",
           "metadata": {"account": "alice@example.com"}})
}

async fn put(caller: &Caller, user: &str, provider: &str, body: Value) -> Value {
    let answer = caller.put(&at(user, provider), body).await;
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()
}

async fn read(caller: &Caller, user: &str, provider: &str) -> Value {
    caller.get(&at(user, provider)).await.expect(StatusCode::OK)
}

/// Asks for a lease.
async fn lease(caller: &Caller, user: &str, provider: &str) -> Value {
    caller.post(&format!("{}/lease", at(user, provider)), json!({})).await.expect(StatusCode::OK)
}

/// The same caller, who commits with this lease.
fn with_lease(caller: &Caller, lease: &Value) -> Caller {
    caller.with("x-refresh-lease", lease["lease"].as_str().expect("it was granted"))
}
