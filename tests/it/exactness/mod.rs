//! What all instances together promise: never more than the limit, one probe, one opening. Two applications share
//! one Redis, over its own protocol and over REST, and 64 callers ask at the same time.

mod breakers;
mod expiry;
mod limits;
mod reservations;
mod several;

use crate::harness::app::{App, Caller, On};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many ask at the same time, half of them at either instance.
const CALLERS: usize = 64;
/// Nothing that is used comes back while a test runs, and no window that is aligned to the epoch ends.
const WINDOW: &str = "300d";
const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_log", "token_bucket", "fixed_window"];

/// Two applications that share a keyspace, and somebody with the same key before each.
struct Two {
    apps: [App; 2],
    callers: [Caller; 2],
    prefix: String,
}

impl Two {
    async fn on(backend: On) -> Two {
        Two::with(backend, &[("RATE_LIMIT_ENABLED", "false")]).await
    }

    /// The same with other variables. A backend that is slow under other tests is not one that is away.
    async fn with(backend: On, variables: &[(&str, &str)]) -> Two {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let prefix = format!("exact-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let patient = [("REDIS_KEY_PREFIX", &*prefix), ("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];
        let all: Vec<_> = patient.iter().chain(variables).copied().collect();
        let apps = [(); 2].map(|()| App::with(backend, &all));
        let secret = format!("Bearer {}", apps[0].tenant().await.secret);
        let callers = apps.each_ref().map(|app| app.anyone().with("authorization", &secret));
        Two { apps, callers, prefix }
    }

    /// Lets all callers ask at once, each its next question when it has the answer to the one before. The
    /// questions are numbered from 0.
    async fn ask<T>(&self, each: usize, question: impl AsyncFn(&Caller, usize) -> T) -> Vec<T> {
        let lane = async |lane: usize| {
            let mut answers = Vec::new();
            for round in 0..each {
                answers.push(question(&self.callers[lane % 2], round * CALLERS + lane).await);
            }
            answers
        };
        join_all((0..CALLERS).map(lane)).await.into_iter().flatten().collect()
    }

    /// What is used of a limit, as both instances say.
    async fn current(&self, check: &Value) -> u64 {
        let member = |name: &str| check[name].as_str().map_or_else(|| check[name].to_string(), str::to_owned);
        let mut path = format!("/v1/ratelimit?key={}", member("key"));
        for name in ["limit", "window", "algorithm"] {
            path.push_str(&format!("&{name}={}", member(name)));
        }
        let [one, other] = self.callers.each_ref().map(async |caller| {
            let answer = caller.get(&path).await.expect(StatusCode::OK);
            assert!(answer.get("degraded").is_none(), "{answer}");
            answer["current"].as_u64().expect("a number")
        });
        let (one, other) = (one.await, other.await);
        assert_eq!(one, other, "two instances disagree about {check}");
        one
    }
}

/// A check of one key that nothing comes back to while a test runs.
fn check(key: &str, limit: u64, algorithm: &str) -> Value {
    json!({"key": key, "limit": limit, "window": WINDOW, "algorithm": algorithm})
}

/// Asks, and gets an answer that knows what all instances count.
async fn ask(caller: &Caller, body: &Value) -> Value {
    let answer = caller.post("/v1/ratelimit/check", body.clone()).await.expect(StatusCode::OK);
    assert!(answer.get("degraded").is_none(), "{answer}");
    answer
}

fn number(answer: &Value, member: &str) -> u64 {
    answer[member].as_u64().unwrap_or_else(|| panic!("{member} is no number in {answer}"))
}

fn is_allowed(answer: &Value) -> bool {
    answer["allowed"].as_bool().unwrap_or_else(|| panic!("neither allowed nor denied: {answer}"))
}
