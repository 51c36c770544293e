//! How often flags gave what.

use super::{colour, evaluate, put, switch};
use crate::api::suite;
use crate::harness::app::{App, Caller};
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    evaluations_are_counted_by_variant_and_day
    a_number_of_days_that_is_none_is_refused
    what_was_never_evaluated_was_given_nothing
}

async fn counted(caller: &Caller, key: &str) -> Value {
    caller.get(&format!("/v1/flags/{key}/stats?days=2")).await.expect(StatusCode::OK)
}

async fn evaluations_are_counted_by_variant_and_day(app: App) {
    let tenant = app.tenant().await;
    let mut split = colour();
    split["variants"] = json!({"red": 1, "blue": 2, "-": 3, "!": 4, "a b %": 5});
    split["targeting"] = json!({"var": "variant"});
    put(&tenant, "f", split.clone()).await;
    put(&tenant, "g", switch()).await;
    for variant in ["red", "blue", "blue", "-", "!", "a b %", "a b %"] {
        assert_eq!(evaluate(&tenant, "f", json!({"variant": variant})).await["variant"], variant);
    }
    let failed = tenant.post("/ofrep/v1/evaluate/flags/f", json!({"context": {"variant": "none"}})).await;
    failed.refused(400, "flag_evaluation_failed");
    // A new version takes none of what the one before has counted.
    split["defaultVariant"] = Value::Null;
    tenant.put("/v1/flags/f", split).await.expect(StatusCode::OK);
    assert_eq!(evaluate(&tenant, "f", json!({})).await["reason"], "DEFAULT");
    tenant.post("/ofrep/v1/evaluate/flags", json!({"context": {"variant": "red"}})).await.expect(StatusCode::OK);
    let stats = counted(&tenant, "f").await;
    assert_eq!((&stats["key"], &stats["total"]), (&json!("f"), &json!(10)));
    assert_eq!(stats["variants"], json!({"red": 2, "blue": 2, "-": 1, "!": 1, "a b %": 2}));
    assert_eq!((&stats["deferred"], &stats["failed"]), (&json!(1), &json!(1)));
    let days = stats["days"].as_array().unwrap();
    assert_eq!((days.len(), days[0]["date"].as_str().map(str::len)), (2, Some(10)));
    assert!(days[0]["date"].as_str() > days[1]["date"].as_str());
    let sum: u64 = days.iter().map(|day| day["total"].as_u64().unwrap()).sum();
    assert_eq!(sum, 10);
    assert_eq!(counted(&tenant, "g").await["variants"], json!({"on": 1}));
}

async fn a_number_of_days_that_is_none_is_refused(app: App) {
    let tenant = app.tenant().await;
    for days in ["0", "32", "x", "-1", "1.5", ""] {
        tenant.get(&format!("/v1/flags/f/stats?days={days}")).await.refused(400, "invalid_query");
    }
}

async fn what_was_never_evaluated_was_given_nothing(app: App) {
    let tenant = app.tenant().await;
    let stats = tenant.get("/v1/flags/unknown/stats").await.expect(StatusCode::OK);
    assert_eq!((&stats["total"], stats["days"].as_array().map(Vec::len)), (&json!(0), Some(7)));
}
