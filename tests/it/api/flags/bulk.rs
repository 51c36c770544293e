//! All flags at once, as an SDK in a browser asks for them (OFREP), and entity tags over rules and context.

use super::{colour, for_plan, put, switch};
use crate::api::suite;
use crate::harness::app::{Answer, App, Caller};
use reqwest::StatusCode;
use serde_json::{Value, json};

const ALL: &str = "/ofrep/v1/evaluate/flags";

suite! {
    every_flag_is_there_and_one_that_fails_does_so_in_its_place
    what_has_not_changed_is_not_sent_again
    rules_that_read_the_clock_are_not_taken_for_unchanged
    a_client_that_heard_of_a_change_gets_it_whatever_it_had
    a_tenant_without_flags_has_none
    a_thousand_flags_come_in_one_answer
}

async fn all(caller: &Caller, context: Value) -> Answer {
    caller.post(ALL, json!({"context": context})).await
}

async fn every_flag_is_there_and_one_that_fails_does_so_in_its_place(app: App) {
    let tenant = app.tenant().await;
    let mut split = colour();
    split["targeting"] = json!({"fractional": [["red", 50], ["blue", 50]]});
    let mut unknown = switch();
    unknown["targeting"] = json!({"var": "variant"});
    let flags = json!({"a": for_plan("pro"), "b": split, "c": unknown, "d": switch()});
    tenant.put("/v1/flagset", json!({"flags": flags, "metadata": {"team": "core"}})).await.expect(StatusCode::CREATED);
    let body = all(&tenant, json!({"plan": "pro", "variant": "none"})).await.expect(StatusCode::OK);
    let flags = body["flags"].as_array().unwrap();
    let metadata = json!({"team": "core"});
    let one = |key: &str, reason: &str| json!({"key": key, "value": true, "variant": "on", "reason": reason, "metadata": metadata});
    assert_eq!((&flags[0], &flags[3]), (&one("a", "TARGETING_MATCH"), &one("d", "STATIC")));
    assert_eq!((&flags[1]["key"], &flags[1]["errorCode"]), (&json!("b"), &json!("TARGETING_KEY_MISSING")));
    assert_eq!((&flags[2]["key"], &flags[2]["errorCode"]), (&json!("c"), &json!("GENERAL")));
    for failed in &flags[1..3] {
        assert!(failed["errorDetails"].is_string() && failed["value"].is_null(), "{failed}");
    }
    assert_eq!((flags.len(), &body["metadata"]), (4, &metadata));
}

async fn what_has_not_changed_is_not_sent_again(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    for caller in [&tenant, &other] {
        put(caller, "f", for_plan("pro")).await;
    }
    let context = || json!({"targetingKey": "u", "plan": "pro", "n": 1.5});
    let first = all(&tenant, context()).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    for header in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}")] {
        let again = all(&tenant.with("if-none-match", &header), context()).await;
        assert_eq!((again.status, &*again.text, again.header("etag")), (StatusCode::NOT_MODIFIED, "", &*tag));
    }
    let knows = tenant.with("if-none-match", &tag);
    let spaced = br#"{ "context": {"n":1.5,  "plan":"pro","targetingKey":"u"} }"#.to_vec();
    let same = knows.send(reqwest::Method::POST, ALL, Some(spaced)).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED, "the same context in another order");
    for other in
        [json!({"targetingKey": "v", "plan": "pro", "n": 1.5}), json!({"targetingKey": "u", "plan": "pro"}), json!({})]
    {
        let answer = all(&knows, other).await;
        answer.expect(StatusCode::OK);
        assert_ne!(answer.header("etag"), tag);
    }
    assert_ne!(all(&other, context()).await.header("etag"), tag, "another tenant's");
    tenant.put("/v1/flags/f", switch()).await.expect(StatusCode::OK);
    let changed = all(&knows, context()).await;
    assert_eq!(changed.expect(StatusCode::OK)["flags"][0]["reason"], "STATIC");
    tenant.put("/v1/flags/f", for_plan("pro")).await.expect(StatusCode::OK);
    all(&knows, context()).await.expect(StatusCode::OK);
}

async fn rules_that_read_the_clock_are_not_taken_for_unchanged(app: App) {
    let tenant = app.tenant().await;
    let mut timed = switch();
    timed["targeting"] = json!({"if": [{">": [{"var": "$flagd.timestamp"}, 1_900_000_000]}, "on", "off"]});
    put(&tenant, "f", timed).await;
    let first = all(&tenant, json!({})).await;
    assert_eq!(first.expect(StatusCode::OK)["flags"][0]["variant"], "off");
    if app.redis.is_none() {
        app.clock.advance(std::time::Duration::from_secs(1));
        let again = all(&tenant.with("if-none-match", first.header("etag")), json!({})).await;
        again.expect(StatusCode::OK);
        app.clock.advance(std::time::Duration::from_secs(100_000_000));
        let later = all(&tenant.with("if-none-match", again.header("etag")), json!({})).await;
        assert_eq!(later.expect(StatusCode::OK)["flags"][0]["variant"], "on");
    }
}

async fn a_client_that_heard_of_a_change_gets_it_whatever_it_had(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", switch()).await;
    let first = all(&tenant, json!({})).await;
    let knows = tenant.with("if-none-match", first.header("etag"));
    let asked = |query: &'static str| {
        let knows = knows.clone();
        async move { knows.post(&format!("{ALL}?{query}"), json!({"context": {}})).await.status }
    };
    assert_eq!(asked("flagConfigEtag=%22other%22&flagConfigLastModified=1771622898").await, StatusCode::OK);
    assert_eq!(asked("flagConfigLastModified=1771622898").await, StatusCode::NOT_MODIFIED);
    knows.post(&format!("{ALL}?unknown=1"), json!({})).await.refused(400, "invalid_query");
}

async fn a_tenant_without_flags_has_none(app: App) {
    let tenant = app.tenant().await;
    let body = all(&tenant, json!({})).await.expect(StatusCode::OK);
    assert_eq!(body["flags"], json!([]));
    put(&tenant, "f", switch()).await;
    assert_eq!(all(&tenant, json!({})).await.expect(StatusCode::OK)["flags"][0]["key"], "f");
}

async fn a_thousand_flags_come_in_one_answer(app: App) {
    let tenant = app.tenant().await;
    let flags: serde_json::Map<_, _> = (0..1000).map(|n| (format!("f{n:03}"), for_plan("pro"))).collect();
    tenant.put("/v1/flagset", json!({"flags": flags})).await.expect(StatusCode::CREATED);
    let body = all(&tenant, json!({"plan": "pro"})).await.expect(StatusCode::OK);
    let flags = body["flags"].as_array().unwrap();
    assert_eq!(flags.len(), 1000);
    assert!(flags.iter().all(|flag| flag["value"] == true && flag["reason"] == "TARGETING_MATCH"));
}
