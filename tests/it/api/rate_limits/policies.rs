//! Named policies: kept, listed, in force everywhere within a second.

use super::super::{app_with, backend_of, segment, suite};
use super::{LONG, check, one_of, policy, used};
use crate::harness::app::{App, Caller, On};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

suite! {
    a_policy_is_kept_read_replaced_and_deleted
    a_check_by_a_policy_is_the_check_that_it_stands_for
    policies_are_listed_by_name_a_page_at_a_time
    whatever_a_policy_is_called_it_is_itself_and_no_other
    a_change_is_in_force_at_once_where_it_was_made
    a_shadow_counts_and_never_denies
}

fn path(name: &str) -> String {
    format!("/v1/ratelimit/policies/{}", segment(name))
}

fn by(policy: &str) -> Value {
    json!({"key": "k", "policy": policy})
}

async fn a_policy_is_kept_read_replaced_and_deleted(app: App) {
    let tenant = app.tenant().await;
    let plain = tenant.put(&path("p"), json!({"limit": 5, "window": "1m"})).await.expect(StatusCode::CREATED);
    let expected = json!({
        "name": "p", "limit": 5, "window": "60s", "window_ms": 60_000, "burst": 0, "algorithm": "sliding_window",
        "shadow": false,
    });
    assert_eq!(plain, expected);
    assert_eq!(tenant.get(&path("p")).await.expect(StatusCode::OK), expected);
    let whole = json!({"limit": 6, "window": "1500ms", "burst": 2, "algorithm": "token_bucket", "shadow": true});
    let replaced = tenant.put(&path("p"), whole).await.expect(StatusCode::OK);
    let expected = json!({
        "name": "p", "limit": 6, "window": "1500ms", "window_ms": 1500, "burst": 2, "algorithm": "token_bucket",
        "shadow": true,
    });
    assert_eq!(replaced, expected);
    assert_eq!(tenant.get(&path("p")).await.expect(StatusCode::OK), expected);
    assert_eq!(tenant.delete(&path("p")).await.expect(StatusCode::NO_CONTENT), Value::Null);
    tenant.delete(&path("p")).await.refused(404, "policy_not_found");
    tenant.get(&path("p")).await.refused(404, "policy_not_found");
    tenant.put(&path("p"), json!({"limit": 5, "window": "1m"})).await.expect(StatusCode::CREATED);
}

async fn a_check_by_a_policy_is_the_check_that_it_stands_for(app: App) {
    let tenant = app.tenant().await;
    let terms = json!({"limit": 2, "window": LONG, "burst": 1, "algorithm": "fixed_window"});
    policy(&tenant, "p", terms.clone()).await;
    let mut own = terms;
    own["key"] = json!("k");
    for (current, ask) in [(1, by("p")), (2, own.clone()), (3, by("p"))] {
        assert_eq!(check(&tenant, ask).await["current"], current);
    }
    for ask in [by("p"), own] {
        let answer = check(&tenant, ask).await;
        assert_eq!((&answer["allowed"], &answer["limit"], &answer["current"]), (&json!(false), &json!(2), &json!(3)));
    }
}

async fn policies_are_listed_by_name_a_page_at_a_time(app: App) {
    let tenant = app.tenant().await;
    let list = "/v1/ratelimit/policies";
    let empty = tenant.get(list).await.expect(StatusCode::OK);
    assert_eq!(empty, json!({"items": [], "next_cursor": null}));
    let mut names = ["b", "a", "(c", "[d", "é", "a b", "{x}", "a/b"];
    for (number, name) in names.iter().enumerate() {
        policy(&tenant, name, json!({"limit": number + 1, "window": "1s"})).await;
    }
    let all = tenant.get(list).await.expect(StatusCode::OK);
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("{list}?limit=3{cursor}")).await.expect(StatusCode::OK);
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(all["items"], json!(items));
    for item in &items {
        assert_eq!(tenant.get(&path(item["name"].as_str().unwrap())).await.expect(StatusCode::OK), *item);
    }
    names.sort();
    let listed: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    tenant.get(&format!("{list}?cursor=canary")).await.refused(400, "invalid_cursor");
    let other = app.tenant().await;
    let foreign = tenant.get(&format!("{list}?limit=1")).await.expect(StatusCode::OK);
    let foreign = foreign["next_cursor"].as_str().unwrap();
    other.get(&format!("{list}?cursor={foreign}")).await.refused(400, "invalid_cursor");
}

async fn whatever_a_policy_is_called_it_is_itself_and_no_other(app: App) {
    let tenant = app.tenant().await;
    let long = "x".repeat(256);
    let names = ["plain", "*", "?", "{x}", "a:b", "a/b", "...", "%2e", "' OR 1=1 --", "\"\\", "ünï", "policies", &long];
    for (number, name) in names.iter().enumerate() {
        policy(&tenant, name, json!({"limit": number + 1, "window": LONG})).await;
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(tenant.get(&path(name)).await.expect(StatusCode::OK)["limit"], number + 1, "{name}");
        assert_eq!(check(&tenant, by(name)).await["limit"], number + 1, "{name}");
    }
    tenant.delete(&path("*")).await.expect(StatusCode::NO_CONTENT);
    let left = tenant.get("/v1/ratelimit/policies").await.expect(StatusCode::OK);
    assert_eq!(left["items"].as_array().unwrap().len(), names.len() - 1);
}

async fn a_change_is_in_force_at_once_where_it_was_made(app: App) {
    let tenant = app.tenant().await;
    tenant.post("/v1/ratelimit/check", by("p")).await.refused(404, "policy_not_found");
    for limit in [3, 1, 7] {
        policy(&tenant, "p", json!({"limit": limit, "window": LONG})).await;
        assert_eq!(check(&tenant, by("p")).await["limit"], limit);
    }
    tenant.delete(&path("p")).await.expect(StatusCode::NO_CONTENT);
    tenant.post("/v1/ratelimit/check", by("p")).await.refused(404, "policy_not_found");
}

async fn a_shadow_counts_and_never_denies(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "p", json!({"limit": 2, "window": LONG, "shadow": true})).await;
    for current in 1..=5 {
        let answer = check(&tenant, by("p")).await;
        assert_eq!((&answer["allowed"], &answer["shadow"]), (&json!(true), &json!(true)));
        assert_eq!((&answer["would_deny"], &answer["current"]), (&json!(current > 2), &json!(current)));
        assert_eq!(
            (&answer["remaining"], &answer["retry_after_ms"]),
            (&json!(2u64.saturating_sub(current)), &json!(0))
        );
    }
    let peeked = super::peek(&tenant, &by("p")).await;
    assert_eq!((&peeked["would_deny"], &peeked["current"]), (&json!(true), &json!(5)));
    // Not even what could never be allowed.
    let answer = check(&tenant, json!({"key": "large", "policy": "p", "cost": 7})).await;
    assert_eq!(
        (&answer["allowed"], &answer["would_deny"], &answer["current"]),
        (&json!(true), &json!(true), &json!(7))
    );
    // In earnest it denies at once, and what the shadow counted counts.
    policy(&tenant, "p", json!({"limit": 2, "window": LONG})).await;
    let answer = check(&tenant, by("p")).await;
    assert_eq!((&answer["allowed"], &answer["shadow"], &answer["current"]), (&json!(false), &Value::Null, &json!(5)));
    assert_eq!(used(&tenant, &one_of(9, "k")).await, 5);
}

/// Another instance over the same data, on a backend that can be shared.
fn instances(on: On, prefix: &str) -> (App, App) {
    let redis = RedisServer::shared();
    let variables = [("REDIS_KEY_PREFIX", prefix)];
    let start = || match on {
        On::Rest => {
            let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
            App::over_rest(redis.clone(), double, &variables)
        }
        _ => App::over(redis.clone(), &variables),
    };
    (start(), start())
}

/// Asks for as long as something may take to be seen, then once more. Says what was answered then.
async fn a_second_later(caller: &Caller, changed: Instant) -> (u16, Value) {
    while changed.elapsed() < Duration::from_secs(1) {
        // It stays in use meanwhile: what it remembers is as old as it ever is.
        caller.post("/v1/ratelimit/check", by("p")).await;
    }
    let answer = caller.post("/v1/ratelimit/check", by("p")).await;
    (answer.status.as_u16(), answer.json()["limit"].clone())
}

async fn a_change_is_in_force_everywhere_within_a_second(on: On, prefix: &str) {
    let (here, there) = instances(on, prefix);
    let tenant = here.tenant().await;
    let over_there = there.anyone().with("x-api-key", &tenant.secret);
    over_there.post("/v1/ratelimit/check", by("p")).await.refused(404, "policy_not_found");
    for limit in [1000, 2000] {
        policy(&tenant, "p", json!({"limit": limit, "window": LONG})).await;
        assert_eq!(a_second_later(&over_there, Instant::now()).await, (200, json!(limit)));
    }
    tenant.delete(&path("p")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(a_second_later(&over_there, Instant::now()).await, (404, Value::Null));
}

#[tokio::test]
async fn a_change_is_seen_by_another_instance_within_a_second_on_redis() {
    a_change_is_in_force_everywhere_within_a_second(On::Native, "policies-native").await;
}

#[tokio::test]
async fn a_change_is_seen_by_another_instance_within_a_second_over_rest() {
    a_change_is_in_force_everywhere_within_a_second(On::Rest, "policies-rest").await;
}

#[tokio::test]
async fn a_thousand_policies_are_listed_and_one_more_is_refused() {
    let app = App::on(On::Memory);
    let app = app_with(backend_of(&app), &[]);
    let tenant = app.tenant().await;
    for number in 0..1000 {
        policy(&tenant, &format!("p{number:03}"), json!({"limit": 1, "window": "1s"})).await;
    }
    let refused = tenant.put(&path("more"), json!({"limit": 1, "window": "1s"})).await;
    refused.refused(422, "policy_limit_reached");
    let page = tenant.get("/v1/ratelimit/policies?limit=1000").await.expect(StatusCode::OK);
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next_cursor"]), (1000, &Value::Null));
    tenant.put(&path("p000"), json!({"limit": 2, "window": "1s"})).await.expect(StatusCode::OK);
}
