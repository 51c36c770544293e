//! The API over HTTP, sessions first: the same expectations of every backend. A file is about one part of the
//! contract; its `suite!` runs each of its tests against the real application on memory, on a Redis and on a
//! REST server. What needs a clock that can be moved is in [`time`], and runs on memory alone.
#![allow(clippy::string_slice, reason = "ids, tokens and keys are ASCII")]

mod answers;
mod batch;
mod breakers;
mod conditions;
mod flags;
mod full;
mod idempotency;
mod limits;
mod lists;
mod names;
mod outage;
mod patch;
mod rate_limits;
mod raw;
mod refresh;
mod refusals;
mod refused_access;
mod refused_requests;
mod request_limit;
mod revoke;
mod sessions;
mod storage;
mod time;
mod tokens;

use crate::harness::app::{App, Caller, On};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Makes a module per backend, with a test for each of these functions, which take an application.
macro_rules! suite {
    ($($test:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $test() { super::$test(crate::api::app(crate::harness::app::On::Memory)).await; })*
        }
        mod native {
            $(#[tokio::test] async fn $test() { super::$test(crate::api::app(crate::harness::app::On::Native)).await; })*
        }
        mod rest {
            $(#[tokio::test] async fn $test() { super::$test(crate::api::app(crate::harness::app::On::Rest)).await; })*
        }
    };
}
use suite;

/// Patience for machines that run many tests at once; what is slow is not what is tested here.
const PATIENT: [(&str, &str); 2] = [("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];

/// An application on a backend.
fn app(on: On) -> App {
    app_with(on, &[])
}

/// The same with more variables.
fn app_with(on: On, variables: &[(&str, &str)]) -> App {
    App::with(on, &[&PATIENT, variables].concat())
}

/// On which backend an application runs, to start another one there.
fn backend_of(app: &App) -> On {
    match (&app.redis, &app.rest) {
        (None, _) => On::Memory,
        (Some(_), None) => On::Native,
        (Some(_), Some(_)) => On::Rest,
    }
}

/// A fresh tenant with limits and settings of its own, by a key that may do everything.
async fn tenant_like(app: &App, id: &str, limits: Value, settings: Value) -> Caller {
    let body = json!({"id": id, "limits": limits, "settings": settings, "create_key": true});
    let made = app.admin().post("/admin/v1/tenants", body).await.expect(StatusCode::CREATED);
    app.anyone().with("x-api-key", text(&made["api_key"], "key"))
}

/// A name as a path segment: all but letters and digits percent-encoded.
fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Creates a session that is newer than any before, on a clock that stands still too.
async fn create_later(app: &App, caller: &Caller, body: Value) -> Value {
    app.clock.advance(std::time::Duration::from_millis(1));
    create(caller, body).await
}

/// Creates a session from this body.
async fn create(caller: &Caller, body: Value) -> Value {
    caller.post("/v1/sessions", body).await.expect(StatusCode::CREATED)
}

/// A text member.
#[track_caller]
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}"))
}

/// The path of a session.
#[track_caller]
fn path(session: &Value) -> String {
    format!("/v1/sessions/{}", segment(text(session, "id")))
}

/// The path for looking at a session without using it.
#[track_caller]
fn peek(session: &Value) -> String {
    format!("{}?touch=false", path(session))
}

/// A moment of an answer, in milliseconds since the epoch.
#[track_caller]
fn millis(session: &Value, member: &str) -> u64 {
    let moment = agentapi::base::clock::Timestamp::parse_rfc3339(text(session, member));
    moment.unwrap_or_else(|| panic!("{member} is no time in {session}")).as_millis()
}

/// A session without what differs between two answers a moment apart.
fn still(mut session: Value) -> Value {
    if let Some(members) = session.as_object_mut() {
        members.remove("ttl");
    }
    session
}
