//! Circuit breakers over HTTP, as a client sees them: the same expectations of every backend.

mod forced;
mod life;
mod lists;
mod names;
mod outage;
mod rates;
mod refusals;
mod together;

use super::segment;
use crate::harness::app::{App, Caller};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a breaker of these tests is open where they wait for the end of it.
const SHORT: &str = "50ms";

/// The path of a breaker.
fn at(name: &str) -> String {
    format!("/v1/breakers/{}", segment(name))
}

async fn configure(caller: &Caller, name: &str, settings: Value) -> Value {
    caller.put(&at(name), settings).await.expect(StatusCode::OK)
}

async fn read(caller: &Caller, name: &str) -> Value {
    caller.get(&at(name)).await.expect(StatusCode::OK)
}

async fn acquire(caller: &Caller, name: &str) -> Value {
    caller.post(&format!("{}/acquire", at(name)), json!({})).await.expect(StatusCode::OK)
}

async fn report(caller: &Caller, name: &str, report: Value) -> Value {
    caller.post(&format!("{}/report", at(name)), report).await.expect(StatusCode::OK)
}

async fn force(caller: &Caller, name: &str, force: Value) -> Value {
    caller.post(&format!("{}/force", at(name)), force).await.expect(StatusCode::OK)
}

/// Reports so many failures in one call, and gives back the state after it.
async fn fail(caller: &Caller, name: &str, count: u32) -> String {
    let answer = report(caller, name, json!({"outcome": "failure", "count": count})).await;
    answer["state"].as_str().expect("a state").to_owned()
}

/// Lets the time of [`SHORT`] pass, and asks until a call may be made.
async fn probe(app: &App, caller: &Caller, name: &str) -> Value {
    app.clock.advance(Duration::from_millis(50));
    let begun = Instant::now();
    loop {
        let answer = acquire(caller, name).await;
        if answer["allowed"] == true {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{name} stays {answer}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The names of a list's items.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().map(|item| item["name"].as_str().expect("a name")).collect()
}
