//! One flag at a time, as an SDK on a server asks for it (OFREP).

use super::{colour, evaluate, for_plan, put, switch};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    each_reason_is_given_where_it_holds
    a_value_of_each_type_comes_as_it_is
    a_split_goes_by_whom_it_is_for
    a_flag_without_default_leaves_it_to_the_code
    metadata_of_the_flag_wins_over_that_of_the_set
    a_request_may_leave_everything_out_and_add_what_it_likes
    a_key_may_come_raw_with_its_slashes
    evaluations_do_not_count_against_the_limit_on_requests
    every_refusal_satisfies_both_protocols
}

async fn each_reason_is_given_where_it_holds(app: App) {
    let tenant = app.tenant().await;
    let mut off = for_plan("pro");
    off["state"] = json!("DISABLED");
    let mut falling = switch();
    falling["targeting"] = json!({"if": [{"==": [{"var": "plan"}, "pro"]}, "off"]});
    let flags = json!({"plain": switch(), "matched": for_plan("pro"), "falling": falling, "off": off});
    tenant.put("/v1/flagset", json!({"flags": flags})).await.expect(StatusCode::CREATED);
    let context = json!({"targetingKey": "u", "plan": "pro"});
    for (key, context, expected) in [
        ("plain", &context, json!({"key": "plain", "value": true, "variant": "on", "reason": "STATIC"})),
        ("matched", &context, json!({"key": "matched", "value": true, "variant": "on", "reason": "TARGETING_MATCH"})),
        (
            "matched",
            &json!({}),
            json!({"key": "matched", "value": false, "variant": "off", "reason": "TARGETING_MATCH"}),
        ),
        ("falling", &json!({}), json!({"key": "falling", "value": true, "variant": "on", "reason": "DEFAULT"})),
        ("falling", &context, json!({"key": "falling", "value": false, "variant": "off", "reason": "TARGETING_MATCH"})),
        ("off", &json!({}), json!({"key": "off", "value": true, "variant": "on", "reason": "DISABLED"})),
    ] {
        assert_eq!(evaluate(&tenant, key, context.clone()).await, expected);
    }
}

async fn a_value_of_each_type_comes_as_it_is(app: App) {
    let tenant = app.tenant().await;
    for (key, value) in [
        ("bool", json!(false)),
        ("text", json!("a \"quoted\" é\n")),
        ("int", json!(-7)),
        ("float", json!(2.5)),
        ("object", json!({"a": [1, {"b": null}]})),
    ] {
        let flag = json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"});
        put(&tenant, key, flag).await;
        let answer = tenant.post(&format!("/ofrep/v1/evaluate/flags/{key}"), json!({})).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.expect(StatusCode::OK)["value"], value);
    }
}

async fn a_split_goes_by_whom_it_is_for(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "headerColor", colour()).await;
    // The vectors of flagd's own tests.
    for (email, variant) in [
        ("rachel@faas.com", "blue"),
        ("monica@faas.com", "yellow"),
        ("joey@faas.com", "red"),
        ("ross@faas.com", "blue"),
    ] {
        let answer = evaluate(&tenant, "headerColor", json!({"email": email})).await;
        assert_eq!((&answer["variant"], &answer["reason"]), (&json!(variant), &json!("TARGETING_MATCH")), "{email}");
    }
    let mut by_key = colour();
    by_key["targeting"] = json!({"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]});
    tenant.put("/v1/flags/headerColor", by_key).await.expect(StatusCode::OK);
    let answer = evaluate(&tenant, "headerColor", json!({"targetingKey": "monica@faas.com"})).await;
    assert_eq!(answer["variant"], "yellow");
    let path = "/ofrep/v1/evaluate/flags/headerColor";
    for context in [json!({}), json!({"targetingKey": ""}), json!({"targetingKey": 7})] {
        let problem = tenant.post(path, json!({"context": context})).await.refused(400, "targeting_key_missing");
        assert_eq!((&problem["key"], &problem["errorCode"]), (&json!("headerColor"), &json!("TARGETING_KEY_MISSING")));
    }
}

async fn a_flag_without_default_leaves_it_to_the_code(app: App) {
    let tenant = app.tenant().await;
    let mut flag = switch();
    flag["defaultVariant"] = Value::Null;
    put(&tenant, "f", flag.clone()).await;
    let expected = json!({"key": "f", "variant": "", "reason": "DEFAULT"});
    assert_eq!(evaluate(&tenant, "f", json!({})).await, expected, "no value, but a variant for clients that need one");
    flag["state"] = json!("DISABLED");
    tenant.put("/v1/flags/f", flag).await.expect(StatusCode::OK);
    assert_eq!(evaluate(&tenant, "f", json!({})).await["reason"], "DISABLED");
}

async fn metadata_of_the_flag_wins_over_that_of_the_set(app: App) {
    let tenant = app.tenant().await;
    let mut flag = switch();
    flag["metadata"] = json!({"team": "flag", "own": 1});
    let set = json!({"flags": {"f": flag, "g": switch()}, "metadata": {"team": "set", "shared": true}});
    tenant.put("/v1/flagset", set).await.expect(StatusCode::CREATED);
    let metadata = evaluate(&tenant, "f", json!({})).await["metadata"].clone();
    assert_eq!(metadata, json!({"team": "flag", "own": 1, "shared": true}));
    assert_eq!(evaluate(&tenant, "g", json!({})).await["metadata"], json!({"team": "set", "shared": true}));
}

async fn a_request_may_leave_everything_out_and_add_what_it_likes(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", for_plan("pro")).await;
    let path = "/ofrep/v1/evaluate/flags/f";
    let bodies: [&str; 5] =
        ["{}", "", r#"{"context":null}"#, r#"{"context":{}}"#, r#"{"of":"tomorrow","context":{"x":[1]}}"#];
    for body in bodies {
        let answer = tenant.send(reqwest::Method::POST, path, Some(body.as_bytes().to_vec())).await;
        assert_eq!(answer.expect(StatusCode::OK)["variant"], "off", "{body}");
    }
}

async fn a_key_may_come_raw_with_its_slashes(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "team/checkout/new", switch()).await;
    for path in ["team/checkout/new", "team%2Fcheckout%2Fnew", "team/checkout%2Fnew"] {
        let answer = tenant.post(&format!("/ofrep/v1/evaluate/flags/{path}"), json!({})).await;
        assert_eq!(answer.expect(StatusCode::OK)["key"], "team/checkout/new", "{path}");
    }
    let answer = tenant.post("/ofrep/v1/evaluate/flags/team/other", json!({})).await;
    assert_eq!(answer.refused(404, "flag_not_found")["key"], "team/other");
}

async fn evaluations_do_not_count_against_the_limit_on_requests(app: App) {
    let on = crate::api::backend_of(&app);
    let limits =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "5"), ("RATE_LIMIT_BURST_SIZE", "0")];
    let app = crate::api::app_with(on, &limits);
    let tenant = app.tenant().await;
    put(&tenant, "f", switch()).await;
    for _ in 0..20 {
        let answer = tenant.post("/ofrep/v1/evaluate/flags/f", json!({})).await;
        answer.expect(StatusCode::OK);
        assert_eq!(answer.header("ratelimit"), "");
    }
    for _ in 0..4 {
        tenant.get("/v1/flags/f").await.expect(StatusCode::OK);
    }
    tenant.get("/v1/flags/f").await.refused(429, "rate_limited");
}

async fn every_refusal_satisfies_both_protocols(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", for_plan("pro")).await;
    let (one, all) = ("/ofrep/v1/evaluate/flags/f", "/ofrep/v1/evaluate/flags");
    let sent = |caller: crate::harness::app::Caller, path: &'static str, body: &'static str| async move {
        caller.send(reqwest::Method::POST, path, Some(body.as_bytes().to_vec())).await
    };
    let broken = r#"{"context": {"#;
    let plain = (*tenant).clone();
    let foreign = app.tenant_with(&["sessions:read"]).await;
    for path in [one, all] {
        for (answer, status, code, error) in [
            (sent(plain.clone(), path, broken).await, 400, "invalid_json", "PARSE_ERROR"),
            (sent(plain.clone(), path, "[]").await, 400, "invalid_context", "INVALID_CONTEXT"),
            (sent(plain.clone(), path, r#"{"context":[]}"#).await, 400, "invalid_context", "INVALID_CONTEXT"),
            (sent(plain.clone(), path, r#"{"context":"x"}"#).await, 400, "invalid_context", "INVALID_CONTEXT"),
            (
                sent(plain.with("content-type", "text/plain"), path, "{}").await,
                415,
                "unsupported_media_type",
                "GENERAL",
            ),
            (sent(app.anyone(), path, "{}").await, 401, "unauthorized", "GENERAL"),
            (sent((*foreign).clone(), path, "{}").await, 403, "insufficient_scope", "GENERAL"),
        ] {
            let problem = answer.refused(status, code);
            assert_eq!(problem["errorCode"], error, "{problem}");
            assert!(problem["errorDetails"].as_str().is_some_and(|details| !details.is_empty()), "{problem}");
            let key = if path == one { json!("f") } else { Value::Null };
            assert_eq!(problem["key"], key, "{problem}");
        }
    }
    let large = format!(r#"{{"context":{{"x":"{}"}}}}"#, "x".repeat(1 << 20));
    let answer = tenant.send(reqwest::Method::POST, one, Some(large.into_bytes())).await;
    assert_eq!(answer.refused(413, "body_too_large")["errorCode"], "GENERAL");
    let deep =
        |member: &str| format!(r#"{{"context":{{"{member}":{}1{}}}}}"#, "[".repeat(100), "]".repeat(100)).into_bytes();
    for (path, member) in [(one, "plan"), (all, "plan"), (all, "x")] {
        let answer = tenant.send(reqwest::Method::POST, path, Some(deep(member))).await;
        assert_eq!(answer.refused(400, "invalid_context")["errorCode"], "INVALID_CONTEXT");
    }
    // Of what the rule does not look at no more is known than that it is JSON.
    let answer = tenant.send(reqwest::Method::POST, one, Some(deep("x"))).await;
    assert_eq!(answer.expect(StatusCode::OK)["variant"], "off");
    for context in [r#"{"\ud800":1}"#, r#"{"x":"\ud800"}"#, r#"{"x":1e400}"#] {
        let body = format!(r#"{{"context":{context}}}"#).into_bytes();
        let answer = tenant.send(reqwest::Method::POST, one, Some(body.clone())).await;
        assert_eq!(answer.expect(StatusCode::OK)["variant"], "off");
        let problem = tenant.send(reqwest::Method::POST, all, Some(body)).await.refused(400, "invalid_context");
        assert!(problem["errorDetails"].as_str().is_some_and(|details| details.contains("column")), "{problem}");
    }
}
