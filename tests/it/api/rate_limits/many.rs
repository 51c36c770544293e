//! Many keys, and many callers.

use super::super::suite;
use super::{LONG, check, one_of, used};
use crate::harness::app::App;
use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

suite! {
    ten_thousand_keys_are_each_counted_once
    of_many_at_once_exactly_the_limit_is_let_in
}

async fn ten_thousand_keys_are_each_counted_once(app: App) {
    let tenant = app.tenant().await;
    let keys: Vec<String> = (0..10_000).map(|number| format!("user:{number}")).collect();
    let begun = Instant::now();
    let ask = |keys: &[String]| {
        let checks: Vec<Value> = keys.iter().map(|key| one_of(1, key)).collect();
        let tenant = &tenant;
        async move { check(tenant, json!({"checks": checks})).await }
    };
    let answers: Vec<Value> = futures_util::stream::iter(keys.chunks(32).map(ask)).buffered(4).collect().await;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    for answer in &answers {
        assert_eq!((&answer["allowed"], &answer["violated"]), (&json!(true), &json!([])));
    }
    for key in keys.iter().step_by(499) {
        assert_eq!(used(&tenant, &one_of(1, key)).await, 1, "{key}");
    }
    let again = check(&tenant, json!({"checks": [one_of(1, "user:10000"), one_of(1, "user:5")]})).await;
    assert_eq!(again["violated"], json!(["user:5"]));
    assert_eq!(used(&tenant, &one_of(1, "user:10000")).await, 0);
}

async fn of_many_at_once_exactly_the_limit_is_let_in(app: App) {
    let tenant = app.tenant().await;
    for algorithm in agentapi::stores::rate_limits::Algorithm::ALL {
        let ask = json!({"key": "k", "limit": 20, "window": LONG, "algorithm": algorithm.as_str()});
        let answers = join_all((0..40).map(|_| tenant.post("/v1/ratelimit/enforce", ask.clone()))).await;
        let allowed = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(allowed, 20, "{algorithm:?}");
        for denied in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
            denied.refused(429, "rate_limited");
        }
        assert_eq!(used(&tenant, &ask).await, 20, "{algorithm:?}");
    }
}
