//! Enforcement: 429 where it is denied, and the fields that tell of quotas.

use super::super::{app_with, backend_of, suite};
use super::{LONG, check, one_of, policy, query, used};
use crate::harness::app::{Answer, App};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sfv::Parser;
use sfv::visitor::Ignored;

suite! {
    what_is_allowed_is_answered_as_a_check_with_fields
    what_is_denied_is_a_429_that_says_when
    a_gateway_asks_with_a_query
    policies_are_called_as_they_were_named_or_by_their_place
    where_one_of_several_is_denied_all_are_told_of
    a_shadow_denies_nothing_and_is_not_told_of
    the_older_fields_go_with_them_where_they_are_wanted
    a_check_has_no_fields
}

/// One item of a field: its name and its two parameters.
type Item = (String, i64, i64);

/// A field as a strict reader reads it (RFC 9651), split into its items.
#[track_caller]
fn items(answer: &Answer, field: &str, parameters: [&str; 2]) -> Vec<Item> {
    let text = answer.header(field);
    Parser::new(text).parse_list_with_visitor(Ignored).unwrap_or_else(|error| panic!("{field}: {text}: {error}"));
    let item = |item: &str| {
        let parts: Vec<&str> = item.split(';').collect();
        assert_eq!(parts.len(), 3, "{text}");
        let number = |part: &str, name: &str| part.strip_prefix(&format!("{name}=")).unwrap().parse().unwrap();
        let name = parts[0].strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        (name.to_owned(), number(parts[1], parameters[0]), number(parts[2], parameters[1]))
    };
    if text.is_empty() { Vec::new() } else { text.split(", ").map(item).collect() }
}

#[track_caller]
fn policies(answer: &Answer) -> Vec<Item> {
    items(answer, "ratelimit-policy", ["q", "w"])
}

#[track_caller]
fn standings(answer: &Answer) -> Vec<Item> {
    items(answer, "ratelimit", ["r", "t"])
}

fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(|(name, ..)| name.as_str()).collect()
}

const DAYS: i64 = 10 * 86_400;

async fn what_is_allowed_is_answered_as_a_check_with_fields(app: App) {
    let tenant = app.tenant().await;
    let answer = tenant.post("/v1/ratelimit/enforce", one_of(2, "k")).await;
    let body = answer.expect(StatusCode::OK);
    assert_eq!((&body["allowed"], &body["current"], &body["remaining"]), (&json!(true), &json!(1), &json!(1)));
    assert_eq!(policies(&answer), [("default".to_owned(), 2, DAYS)]);
    let standing = standings(&answer);
    assert_eq!((names(&standing), standing[0].1), (vec!["default"], 1));
    let reset = body["reset_ms"].as_u64().unwrap();
    assert_eq!(standing[0].2, reset.div_ceil(1000) as i64);
    for older in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"] {
        assert_eq!(answer.header(older), "");
    }
}

async fn what_is_denied_is_a_429_that_says_when(app: App) {
    let tenant = app.tenant().await;
    let ask = json!({"key": "k", "limit": 5, "window": LONG, "cost": 3});
    tenant.post("/v1/ratelimit/enforce", ask.clone()).await.expect(StatusCode::OK);
    for _ in 0..5 {
        let wait = check(&tenant, ask.clone()).await["retry_after_ms"].as_u64().unwrap();
        let answer = tenant.post("/v1/ratelimit/enforce", ask.clone()).await;
        let problem = answer.refused(429, "rate_limited");
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
        assert_eq!(problem["violated-policies"], json!(["default"]));
        let after: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!(after >= 1 && after.abs_diff(wait.div_ceil(1000)) <= 30, "{after} s for {wait} ms");
        assert_eq!(policies(&answer), [("default".to_owned(), 5, DAYS)]);
        assert_eq!(standings(&answer)[0].1, 2);
    }
    assert_eq!(used(&tenant, &ask).await, 3);
}

async fn a_gateway_asks_with_a_query(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "gold plan", json!({"limit": 2, "window": LONG})).await;
    for (ask, name) in [
        (json!({"key": "ip:1.2.3.4/a b&c", "limit": 2, "window": LONG, "algorithm": "token_bucket"}), "default"),
        (json!({"key": "ip:1.2.3.4/a b&c", "policy": "gold plan"}), "gold plan"),
    ] {
        let path = format!("/v1/ratelimit/enforce?{}", query(&ask));
        for remaining in [1, 0] {
            let answer = tenant.get(&path).await;
            assert_eq!(answer.expect(StatusCode::OK)["remaining"], remaining);
            assert_eq!((names(&standings(&answer)), standings(&answer)[0].1), (vec![name], remaining));
        }
        let answer = tenant.get(&path).await;
        assert_eq!(answer.refused(429, "rate_limited")["violated-policies"], json!([name]));
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(used(&tenant, &ask).await, 2, "the key is the same in a body and in a query");
        assert_eq!(check(&tenant, ask).await["allowed"], false);
    }
}

async fn policies_are_called_as_they_were_named_or_by_their_place(app: App) {
    let tenant = app.tenant().await;
    let strange = "a\"b\\ünï";
    for name in ["gold", strange] {
        policy(&tenant, name, json!({"limit": 9, "window": "1500ms", "algorithm": "fixed_window"})).await;
    }
    let named = |name: &str| json!({"key": "k", "policy": name});
    for (checks, expected) in [
        (vec![one_of(9, "a")], vec!["default"]),
        (vec![named("gold"), one_of(9, "a")], vec!["gold", "default"]),
        (vec![one_of(9, "a"), named("gold"), one_of(9, "b")], vec!["default-1", "gold", "default-3"]),
        (vec![named(strange)], vec!["a\\\"b\\\\%C3%BCn%C3%AF"]),
    ] {
        let answer = tenant.post("/v1/ratelimit/enforce", json!({"checks": checks})).await;
        answer.expect(StatusCode::OK);
        assert_eq!(names(&policies(&answer)), expected);
        assert_eq!(names(&standings(&answer)), expected);
    }
    let answer = tenant.post("/v1/ratelimit/enforce", named("gold")).await;
    assert_eq!(policies(&answer), [("gold".to_owned(), 9, 2)], "the window in whole seconds, rounded up");
}

async fn where_one_of_several_is_denied_all_are_told_of(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "gold", json!({"limit": 1, "window": LONG})).await;
    let checks = json!({"checks": [one_of(5, "a"), {"key": "b", "policy": "gold"}, one_of(1, "c"), one_of(5, "d")]});
    tenant.post("/v1/ratelimit/enforce", checks.clone()).await.expect(StatusCode::OK);
    let answer = tenant.post("/v1/ratelimit/enforce", checks).await;
    let problem = answer.refused(429, "rate_limited");
    assert_eq!(problem["violated-policies"], json!(["gold", "default-3"]));
    let standing = standings(&answer);
    assert_eq!(names(&standing), ["default-1", "gold", "default-3", "default-4"]);
    assert_eq!(standing.iter().map(|(_, left, _)| *left).collect::<Vec<_>>(), [4, 0, 0, 4]);
    assert_eq!(used(&tenant, &one_of(5, "a")).await, 1);
}

async fn a_shadow_denies_nothing_and_is_not_told_of(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "trial", json!({"limit": 1, "window": LONG, "shadow": true})).await;
    for would_deny in [false, true, true] {
        let answer = tenant.post("/v1/ratelimit/enforce", json!({"key": "k", "policy": "trial"})).await;
        let body = answer.expect(StatusCode::OK);
        assert_eq!(
            (&body["allowed"], &body["shadow"], &body["would_deny"]),
            (&json!(true), &json!(true), &json!(would_deny))
        );
        assert_eq!((&body["retry_after_ms"], answer.header("ratelimit")), (&json!(0), ""));
    }
    let both = json!({"checks": [{"key": "k", "policy": "trial"}, one_of(1, "other")]});
    tenant.post("/v1/ratelimit/enforce", both.clone()).await.expect(StatusCode::OK);
    let answer = tenant.post("/v1/ratelimit/enforce", both).await;
    assert_eq!(answer.refused(429, "rate_limited")["violated-policies"], json!(["default"]));
    assert_eq!(names(&standings(&answer)), ["default"]);
}

async fn the_older_fields_go_with_them_where_they_are_wanted(app: App) {
    let app = app_with(backend_of(&app), &[("RATE_LIMIT_LEGACY_HEADERS", "true")]);
    let tenant = app.tenant().await;
    let checks = json!({"checks": [one_of(5, "a"), one_of(2, "b")]});
    for (status, remaining) in [(200, "1"), (200, "0"), (429, "0")] {
        let answer = tenant.post("/v1/ratelimit/enforce", checks.clone()).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("2", remaining));
        let reset: i64 = answer.header("x-ratelimit-reset").parse().expect("seconds");
        assert_eq!(reset, standings(&answer)[1].2);
    }
}

async fn a_check_has_no_fields(app: App) {
    let tenant = app.tenant().await;
    for _ in 0..2 {
        let answer = tenant.post("/v1/ratelimit/check", one_of(1, "k")).await;
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), ("", ""));
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::OK, ""));
        assert_ne!(answer.json()["allowed"], Value::Null);
    }
}
