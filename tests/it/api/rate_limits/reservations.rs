//! Quota for a cost that is known only later.

use super::super::{app, millis, suite, text};
use super::{LONG, check, one_of, policy, used};
use crate::harness::app::{Answer, App, Caller, On};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

suite! {
    what_is_held_is_used_until_it_is_settled
    what_cannot_be_held_is_denied_and_nothing_is_held
    a_commit_counts_what_was_used_even_beyond_the_limit
    a_settlement_may_be_repeated_and_not_be_changed
    a_repeated_request_holds_once
    a_reset_frees_what_is_held
    a_shadow_denies_no_reservation
}

fn ask(cost: u64) -> Value {
    json!({"key": "k", "limit": 10, "window": LONG, "cost": cost})
}

async fn reserve(caller: &Caller, body: Value) -> Value {
    caller.post("/v1/ratelimit/reserve", body).await.expect(StatusCode::CREATED)
}

async fn settle(caller: &Caller, reserved: &Value, call: &str, body: Value) -> Answer {
    let id = text(reserved, "reservation");
    caller.post(&format!("/v1/ratelimit/reservations/{id}/{call}"), body).await
}

async fn what_is_held_is_used_until_it_is_settled(app: App) {
    let tenant = app.tenant().await;
    let held = reserve(&tenant, ask(6)).await;
    assert!(text(&held, "reservation").starts_with("rsv_"), "{held}");
    assert_eq!((&held["allowed"], &held["current"], &held["remaining"]), (&json!(true), &json!(6), &json!(4)));
    assert_eq!(used(&tenant, &ask(1)).await, 6);
    assert_eq!(check(&tenant, ask(5)).await["allowed"], false);
    let id = &held["reservation"];
    let committed = settle(&tenant, &held, "commit", json!({"cost": 2})).await.expect(StatusCode::OK);
    assert_eq!(committed, json!({"reservation": id, "state": "committed", "cost": 2}));
    assert_eq!(used(&tenant, &ask(1)).await, 2);
    let held = reserve(&tenant, ask(8)).await;
    let cancelled = settle(&tenant, &held, "cancel", json!({})).await.expect(StatusCode::OK);
    assert_eq!(cancelled, json!({"reservation": held["reservation"], "state": "cancelled", "cost": 0}));
    assert_eq!(used(&tenant, &ask(1)).await, 2);
}

async fn what_cannot_be_held_is_denied_and_nothing_is_held(app: App) {
    let tenant = app.tenant().await;
    check(&tenant, ask(8)).await;
    let answer = tenant.post("/v1/ratelimit/reserve", ask(3)).await.expect(StatusCode::OK);
    assert_eq!((&answer["allowed"], &answer["current"]), (&json!(false), &json!(8)));
    assert!(answer["retry_after_ms"].as_u64().unwrap() > 0, "{answer}");
    assert!(answer.get("reservation").is_none() && answer.get("expires_at").is_none(), "{answer}");
    assert_eq!(used(&tenant, &ask(1)).await, 8);
    reserve(&tenant, ask(2)).await;
}

async fn a_commit_counts_what_was_used_even_beyond_the_limit(app: App) {
    let tenant = app.tenant().await;
    let (little, much) = (reserve(&tenant, ask(2)).await, reserve(&tenant, ask(2)).await);
    settle(&tenant, &little, "commit", json!({"cost": 0})).await.expect(StatusCode::OK);
    assert_eq!(used(&tenant, &ask(1)).await, 2);
    settle(&tenant, &much, "commit", json!({"cost": 25})).await.expect(StatusCode::OK);
    let answer = check(&tenant, ask(1)).await;
    assert_eq!((&answer["allowed"], &answer["current"], &answer["remaining"]), (&json!(false), &json!(25), &json!(0)));
}

async fn a_settlement_may_be_repeated_and_not_be_changed(app: App) {
    let tenant = app.tenant().await;
    let (committed, cancelled) = (reserve(&tenant, ask(3)).await, reserve(&tenant, ask(3)).await);
    for _ in 0..3 {
        let answer = settle(&tenant, &committed, "commit", json!({"cost": 4})).await.expect(StatusCode::OK);
        assert_eq!(answer["cost"], 4);
        settle(&tenant, &cancelled, "cancel", json!({})).await.expect(StatusCode::OK);
        assert_eq!(used(&tenant, &ask(1)).await, 4, "once");
    }
    settle(&tenant, &committed, "commit", json!({"cost": 5})).await.refused(409, "reservation_settled");
    settle(&tenant, &committed, "cancel", json!({})).await.refused(409, "reservation_settled");
    settle(&tenant, &cancelled, "commit", json!({"cost": 1})).await.refused(409, "reservation_settled");
    assert_eq!(used(&tenant, &ask(1)).await, 4);
}

async fn a_repeated_request_holds_once(app: App) {
    let tenant = app.tenant().await;
    let keyed = tenant.with("idempotency-key", "one");
    let first = keyed.post("/v1/ratelimit/reserve", ask(6)).await;
    let again = keyed.post("/v1/ratelimit/reserve", ask(6)).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(again.text, first.text);
    assert_eq!(used(&tenant, &ask(1)).await, 6);
}

async fn a_reset_frees_what_is_held(app: App) {
    let tenant = app.tenant().await;
    reserve(&tenant, ask(10)).await;
    tenant.delete("/v1/ratelimit?key=k").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(used(&tenant, &ask(1)).await, 0);
    reserve(&tenant, ask(10)).await;
}

async fn a_shadow_denies_no_reservation(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "trial", json!({"limit": 2, "window": LONG, "shadow": true})).await;
    for would_deny in [false, true] {
        let held = reserve(&tenant, json!({"key": "k", "policy": "trial", "cost": 2})).await;
        assert_eq!((&held["allowed"], &held["would_deny"]), (&json!(true), &json!(would_deny)), "{held}");
    }
    assert_eq!(used(&tenant, &one_of(9, "k")).await, 4);
}

#[tokio::test]
async fn what_is_abandoned_frees_itself() {
    let app = app(On::Memory);
    let tenant = app.tenant().await;
    let now = 1_800_000_000_000;
    let (usual, longer) = (reserve(&tenant, ask(3)).await, {
        let mut body = ask(4);
        body["ttl"] = json!("2m");
        reserve(&tenant, body).await
    });
    assert_eq!((millis(&usual, "expires_at"), millis(&longer, "expires_at")), (now + 60_000, now + 120_000));
    app.clock.advance(Duration::from_millis(59_999));
    assert_eq!(used(&tenant, &ask(1)).await, 7);
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(used(&tenant, &ask(1)).await, 4);
    settle(&tenant, &usual, "commit", json!({"cost": 1})).await.refused(404, "reservation_not_found");
    settle(&tenant, &usual, "cancel", json!({})).await.refused(404, "reservation_not_found");
    settle(&tenant, &longer, "commit", json!({"cost": 1})).await.expect(StatusCode::OK);
    assert_eq!(used(&tenant, &ask(1)).await, 1);
}
