//! Quota that is held from all sides at once: what is held and used together never exceeds the limit, and in the end
//! exactly what was committed is counted.

use super::{ALGORITHMS, Two, ask, check, is_allowed, number};
use crate::harness::app::{Caller, On};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What a caller did: the reservation, if it got one, or a check.
enum Did {
    Held(String),
    Used(bool),
}

async fn reserve(caller: &Caller, body: &Value) -> Option<String> {
    let answer = caller.post("/v1/ratelimit/reserve", body.clone()).await;
    let answer = answer.expect(if is_allowed(&answer.json()) { StatusCode::CREATED } else { StatusCode::OK });
    assert!(number(&answer, "current") <= number(body, "limit"), "{answer}");
    assert_eq!(is_allowed(&answer), answer["reservation"].is_string(), "{answer}");
    answer["reservation"].as_str().map(str::to_owned)
}

/// Commits or cancels, through whichever instance. Both are asked for twice, and are done once.
async fn settle(caller: &Caller, reservation: &str, cost: Option<u64>) {
    let path = format!("/v1/ratelimit/reservations/{reservation}/");
    for _ in 0..2 {
        let answer = match cost {
            Some(cost) => caller.post(&format!("{path}commit"), json!({"cost": cost})).await,
            None => caller.send(reqwest::Method::POST, &format!("{path}cancel"), None).await,
        };
        assert!(answer.status.is_success(), "{answer:?}");
    }
}

async fn what_is_committed_is_counted(on: On) {
    const LIMIT: u64 = 90;
    let two = Two::on(on).await;
    for algorithm in ALGORITHMS {
        let one = check("reserved", LIMIT, algorithm);
        let mut three = one.clone();
        three["cost"] = json!(3);
        let did = two
            .ask(2, async |caller, n| match n % 2 {
                0 => reserve(caller, &three).await.map(Did::Held),
                _ => Some(Did::Used(is_allowed(&ask(caller, &one).await))),
            })
            .await;
        let held: Vec<&str> =
            did.iter().flatten().filter_map(|did| if let Did::Held(id) = did { Some(&**id) } else { None }).collect();
        let used = did.iter().flatten().filter(|did| matches!(did, Did::Used(true))).count() as u64;
        let units = held.len() as u64 * 3 + used;
        assert!(units <= LIMIT && units + 3 > LIMIT, "{algorithm}: {units} of {LIMIT}");
        assert_eq!(two.current(&one).await, units, "{algorithm}: what is held counts");
        assert!(held.len() > 10, "{} reservations are no crowd", held.len());

        // Of three: one is cancelled, one takes less, one takes more than it held.
        let cost = |n: usize| [None, Some(1), Some(5)][n % 3];
        let settled = (0..held.len()).map(async |n| settle(&two.callers[n % 2], held[n], cost(n)).await);
        futures_util::future::join_all(settled).await;
        let committed: u64 = (0..held.len()).filter_map(cost).sum();
        assert_eq!(two.current(&one).await, used + committed, "{algorithm}");
    }
    two.every_limiter_key_expires().await;
}

#[tokio::test]
async fn exactly_what_was_committed_is_counted_on_native() {
    what_is_committed_is_counted(On::Native).await;
}

#[tokio::test]
async fn exactly_what_was_committed_is_counted_on_rest() {
    what_is_committed_is_counted(On::Rest).await;
}
