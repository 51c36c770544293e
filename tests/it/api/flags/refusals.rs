//! Definitions that are refused: the exact place of each fault, and nothing stored.

use super::{everything, put, switch};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    each_fault_of_a_flag_is_refused_at_its_place
    each_fault_of_a_set_is_refused_at_its_place
    all_faults_are_told_together
    a_set_that_grows_too_large_is_refused
    metadata_that_many_flags_would_repeat_is_refused
    a_body_that_is_no_object_is_refused
    a_key_that_is_no_name_is_refused
}

/// A flag with this targeting.
fn with(targeting: Value) -> Value {
    let mut flag = switch();
    flag["targeting"] = targeting;
    flag
}

/// A flag with one member that is different.
fn but(member: &str, value: Value) -> Value {
    let mut flag = switch();
    flag[member] = value;
    flag
}

/// A rule that nests so deep.
fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(true), |rule, _| json!({"!": rule}))
}

fn pointers(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

async fn each_fault_of_a_flag_is_refused_at_its_place(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "there", switch()).await;
    let before = everything(&tenant).await;
    for (flag, place) in [
        (json!({"variants": {"a": 1}}), "/state"),
        (but("state", json!("ON")), "/state"),
        (but("state", json!(true)), "/state"),
        (json!({"state": "ENABLED"}), "/variants"),
        (but("variants", json!({})), "/variants"),
        (but("variants", json!([true])), "/variants"),
        (but("variants", json!({"on": true, "off": "no"})), "/variants/on"),
        (but("defaultVariant", json!("maybe")), "/defaultVariant"),
        (but("defaultVariant", json!(true)), "/defaultVariant"),
        (but("other", json!(1)), "/other"),
        (but("metadata", json!({"a": {}})), "/metadata/a"),
        (but("metadata", json!({"a": null})), "/metadata/a"),
        (but("metadata", json!([])), "/metadata"),
        (but("targeting", json!("on")), "/targeting"),
        (but("targeting", json!([])), "/targeting"),
        (with(json!({"unheard_of": [1]})), "/targeting/unheard_of"),
        (with(json!({"if": [{"odd~/name": []}, "on"]})), "/targeting/if/0/odd~0~1name"),
        (with(json!({"if": [true, "maybe"]})), "/targeting/if/1"),
        (with(json!({"$ref": "nowhere"})), "/targeting/$ref"),
        (with(json!({"fractional": [["on", -1], ["off", 2]]})), "/targeting/fractional/0/1"),
        (with(json!({"fractional": [["on", 1.5], ["off", 2]]})), "/targeting/fractional/0/1"),
        (with(json!({"fractional": [["on", 2_147_483_647_u32], ["off", 1]]})), "/targeting/fractional"),
        (with(json!({"fractional": [["on", 1], ["maybe", 1]]})), "/targeting/fractional/1/0"),
        (with(json!({"sem_ver": [{"var": "v"}, "!!", "1.0.0"]})), "/targeting/sem_ver/1"),
    ] {
        let problem = tenant.put("/v1/flags/f", flag.clone()).await.refused(422, "validation_failed");
        assert!(pointers(&problem).iter().any(|pointer| pointer == place), "{flag}: {problem}");
    }
    let problem = tenant.put("/v1/flags/f", with(deep(70))).await.refused(422, "validation_failed");
    assert!(pointers(&problem)[0].starts_with("/targeting/!/!"), "{problem}");
    tenant.put("/v1/flags/f", with(deep(200))).await.refused(400, "invalid_json");
    assert_eq!(everything(&tenant).await, before);
    tenant.get("/v1/flags/f").await.refused(404, "flag_not_found");
}

async fn each_fault_of_a_set_is_refused_at_its_place(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "there", switch()).await;
    let before = everything(&tenant).await;
    let cyclic = json!({"a": {"if": [{"$ref": "b"}, "on"]}, "b": {"!": [{"$ref": "a"}]}});
    // Each doubles the one before it.
    let mut doubling = serde_json::Map::from_iter([("e0".to_owned(), json!({"==": [1, 1]}))]);
    for n in 1..40 {
        let before = json!({"$ref": format!("e{}", n - 1)});
        doubling.insert(format!("e{n}"), json!({"and": [before, before]}));
    }
    for (set, place) in [
        (json!({}), "/flags"),
        (json!({"flags": []}), "/flags"),
        (json!({"flags": {}, "flag": {}}), "/flag"),
        (json!({"flags": {"f": 1}}), "/flags/f"),
        (json!({"flags": {"": switch()}}), "/flags/"),
        (json!({"flags": {"a/b~": {"state": "ENABLED", "variants": {"x": 1}, "more": 1}}}), "/flags/a~1b~0/more"),
        (json!({"flags": {}, "metadata": {"a": []}}), "/metadata/a"),
        (json!({"flags": {}, "$evaluators": []}), "/$evaluators"),
        (json!({"flags": {}, "$evaluators": {"e": {"unheard_of": 1}}}), "/$evaluators/e/unheard_of"),
        (json!({"flags": {"f": with(json!({"$ref": "a"}))}, "$evaluators": cyclic}), "/$evaluators/a"),
        (
            json!({"flags": {"f": with(json!({"if": [{"$ref": "e39"}, "on"]}))}, "$evaluators": doubling}),
            "/flags/f/targeting",
        ),
    ] {
        let answer = tenant.put("/v1/flagset", set.clone()).await;
        assert_eq!(answer.status.as_u16(), 422, "{place}: {answer:?}");
        let problem = answer.refused(422, "validation_failed");
        assert!(pointers(&problem).iter().any(|pointer| pointer.starts_with(place)), "{place}: {problem}");
    }
    assert_eq!(everything(&tenant).await, before);
}

async fn all_faults_are_told_together(app: App) {
    let tenant = app.tenant().await;
    let set = json!({"flags": {"a": but("state", json!("x")), "b": but("defaultVariant", json!("x")), "c": switch()}});
    let problem = tenant.put("/v1/flagset", set).await.refused(422, "validation_failed");
    assert_eq!(pointers(&problem), ["/flags/a/state", "/flags/b/defaultVariant"]);
    let many: serde_json::Map<_, _> = (0..500).map(|n| (format!("f{n}"), json!(1))).collect();
    let problem = tenant.put("/v1/flagset", json!({"flags": many})).await.refused(422, "validation_failed");
    assert!(pointers(&problem).len() <= 101, "as many as somebody can read");
}

async fn a_set_that_grows_too_large_is_refused(app: App) {
    let tenant = app.tenant().await;
    let large =
        |letter: &str| json!({"state": "ENABLED", "variants": {"v": letter.repeat(700_000)}, "defaultVariant": "v"});
    put(&tenant, "a", large("a")).await;
    tenant.put("/v1/flags/b", large("b")).await.refused(422, "flagset_too_large");
    assert_eq!(everything(&tenant).await.1, "\"1\"");
}

async fn metadata_that_many_flags_would_repeat_is_refused(app: App) {
    let tenant = app.tenant().await;
    let set = |count: usize| {
        let flags: serde_json::Map<_, _> = (0..count).map(|n| (format!("f{n}"), switch())).collect();
        json!({"flags": flags, "metadata": {"note": "x".repeat(400_000)}})
    };
    let problem = tenant.put("/v1/flagset", set(1000)).await.refused(422, "validation_failed");
    assert_eq!(pointers(&problem), ["/metadata"]);
    tenant.put("/v1/flagset", set(20)).await.expect(StatusCode::CREATED);
    let problem = tenant.put("/v1/flags/f20", switch()).await.refused(422, "validation_failed");
    assert_eq!(pointers(&problem), ["/metadata"]);
    assert_eq!(everything(&tenant).await.1, "\"1\"");
}

async fn a_body_that_is_no_object_is_refused(app: App) {
    let tenant = app.tenant().await;
    for path in ["/v1/flags/f", "/v1/flagset"] {
        for body in [json!([]), json!(1), json!("x"), json!(null)] {
            tenant.put(path, body).await.refused(422, "validation_failed");
        }
    }
    assert_eq!(everything(&tenant).await, (json!({"flags": {}}), "\"0\"".to_owned()));
}

async fn a_key_that_is_no_name_is_refused(app: App) {
    let tenant = app.tenant().await;
    for key in ["%00", "a%0Ab", "%ff", "%zz", &"x".repeat(257)] {
        tenant.put(&format!("/v1/flags/{key}"), switch()).await.refused(400, "invalid_name");
        tenant.get(&format!("/v1/flags/{key}")).await.refused(400, "invalid_name");
        tenant.post(&format!("/v1/flags/{key}/explain"), json!({})).await.refused(400, "invalid_name");
        tenant.get(&format!("/v1/flags/{key}/stats")).await.refused(400, "invalid_name");
        let answer = tenant.post(&format!("/ofrep/v1/evaluate/flags/{key}"), json!({})).await;
        assert_eq!(answer.refused(400, "invalid_name")["errorCode"], "GENERAL");
    }
    let long = "x".repeat(256);
    let made = tenant.put(&format!("/v1/flags/{long}"), switch()).await;
    assert_eq!(made.status, StatusCode::CREATED);
}
