//! Several checks in one call: all are counted, or none is.

use super::super::suite;
use super::{LONG, check, one_of, used};
use crate::harness::app::App;
use agentapi::stores::rate_limits::Algorithm;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    several_that_are_allowed_are_all_counted
    where_one_is_denied_none_is_counted
    checks_on_one_limiter_see_one_another
    a_key_that_is_limited_twice_is_named_once
    a_shadow_among_them_denies_nothing
    one_check_in_a_list_is_answered_as_a_list
}

fn keys() -> Vec<String> {
    (0..8).map(|number| format!("user:{number}")).collect()
}

/// One unit for each key, by each algorithm in turn.
fn asks(limit: u64) -> Vec<Value> {
    let algorithms = Algorithm::ALL.iter().cycle();
    let one = |(key, algorithm): (String, &Algorithm)| json!({"key": key, "limit": limit, "window": LONG, "algorithm": algorithm.as_str()});
    keys().into_iter().zip(algorithms).map(one).collect()
}

async fn several_that_are_allowed_are_all_counted(app: App) {
    let tenant = app.tenant().await;
    for current in 1..=3 {
        let answer = check(&tenant, json!({"checks": asks(5)})).await;
        assert_eq!((&answer["allowed"], &answer["violated"]), (&json!(true), &json!([])));
        assert_eq!(answer["retry_after_ms"], 0);
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 8);
        for (result, key) in results.iter().zip(keys()) {
            assert_eq!((&result["key"], &result["allowed"]), (&json!(key), &json!(true)));
            assert_eq!((&result["current"], &result["remaining"]), (&json!(current), &json!(5 - current)));
        }
    }
    for ask in asks(5) {
        assert_eq!(used(&tenant, &ask).await, 3, "{ask}");
    }
}

async fn where_one_is_denied_none_is_counted(app: App) {
    let tenant = app.tenant().await;
    let full = [&asks(2)[3], &asks(2)[5]];
    for ask in full {
        for _ in 0..2 {
            check(&tenant, ask.clone()).await;
        }
    }
    for _ in 0..5 {
        let answer = check(&tenant, json!({"checks": asks(2)})).await;
        assert_eq!((&answer["allowed"], &answer["violated"]), (&json!(false), &json!(["user:3", "user:5"])));
        let results = answer["results"].as_array().unwrap();
        for (place, result) in results.iter().enumerate() {
            assert_eq!(result["allowed"], json!(place != 3 && place != 5), "{result}");
        }
        let longest = results.iter().map(|result| result["retry_after_ms"].as_u64().unwrap()).max();
        assert!(longest > Some(0));
        assert_eq!(answer["retry_after_ms"].as_u64(), longest);
    }
    for (place, ask) in asks(2).iter().enumerate() {
        assert_eq!(used(&tenant, ask).await, if place == 3 || place == 5 { 2 } else { 0 }, "{ask}");
    }
}

async fn checks_on_one_limiter_see_one_another(app: App) {
    let tenant = app.tenant().await;
    let ask = one_of(2, "k");
    let answer = check(&tenant, json!({"checks": [ask, ask, ask]})).await;
    assert_eq!((&answer["allowed"], &answer["violated"]), (&json!(false), &json!(["k"])));
    assert_eq!(used(&tenant, &ask).await, 0);
    let answer = check(&tenant, json!({"checks": [ask, ask]})).await;
    assert_eq!(answer["allowed"], true);
    assert_eq!(used(&tenant, &ask).await, 2);
}

async fn a_key_that_is_limited_twice_is_named_once(app: App) {
    let tenant = app.tenant().await;
    let (short, long) = (one_of(1, "k"), json!({"key": "k", "limit": 1, "window": "11d"}));
    let both = json!({"checks": [short, long]});
    assert_eq!(check(&tenant, both.clone()).await["allowed"], true);
    let answer = check(&tenant, both).await;
    assert_eq!((&answer["violated"], answer["results"][1]["allowed"].as_bool()), (&json!(["k"]), Some(false)));
    assert!(answer["retry_after_ms"].as_u64() > Some(10 * 86_400_000), "that of the longer window: {answer}");
}

async fn a_shadow_among_them_denies_nothing(app: App) {
    let tenant = app.tenant().await;
    super::policy(&tenant, "trial", json!({"limit": 1, "window": LONG, "shadow": true})).await;
    let both = json!({"checks": [one_of(9, "a"), {"key": "b", "policy": "trial"}]});
    for current in 1..=3 {
        let answer = check(&tenant, both.clone()).await;
        assert_eq!((&answer["allowed"], &answer["violated"]), (&json!(true), &json!([])));
        let (plain, shadow) = (&answer["results"][0], &answer["results"][1]);
        assert_eq!((&plain["current"], &plain["shadow"]), (&json!(current), &Value::Null));
        assert_eq!((&shadow["allowed"], &shadow["shadow"]), (&json!(true), &json!(true)));
        assert_eq!((&shadow["would_deny"], &shadow["current"]), (&json!(current > 1), &json!(current)), "{shadow}");
    }
}

async fn one_check_in_a_list_is_answered_as_a_list(app: App) {
    let tenant = app.tenant().await;
    let answer = tenant.post("/v1/ratelimit/check", json!({"checks": [one_of(2, "k")]})).await.expect(StatusCode::OK);
    assert_eq!((&answer["results"][0]["key"], &answer["key"]), (&json!("k"), &Value::Null));
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
}
