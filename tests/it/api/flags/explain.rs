//! Why a flag gives what it gives, and what another definition would give.

use super::{colour, everything, for_plan, put, switch};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    an_explanation_agrees_with_the_evaluation_and_shows_the_way
    a_definition_is_tried_without_being_stored
    what_cannot_be_explained_is_refused
}

async fn an_explanation_agrees_with_the_evaluation_and_shows_the_way(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "headerColor", colour()).await;
    let context = json!({"email": "monica@faas.com"});
    let told = tenant.post("/v1/flags/headerColor/explain", json!({"context": context})).await.expect(StatusCode::OK);
    let answer = super::evaluate(&tenant, "headerColor", context).await;
    assert_eq!(
        (&told["value"], &told["variant"], &told["reason"]),
        (&answer["value"], &json!("yellow"), &answer["reason"])
    );
    let bucket = &told["buckets"][0];
    assert_eq!(
        (&bucket["bucket"], &bucket["of"], &bucket["variant"]),
        (&json!(77), &json!(100), &json!("yellow")),
        "{told}"
    );
    assert!(told["path"].as_array().is_some_and(|path| !path.is_empty()), "{told}");
}

async fn a_definition_is_tried_without_being_stored(app: App) {
    let tenant = app.tenant().await;
    let set = json!({"flags": {"f": switch()}, "$evaluators": {"pro": {"==": [{"var": "plan"}, "pro"]}}});
    tenant.put("/v1/flagset", set).await.expect(StatusCode::CREATED);
    let before = everything(&tenant).await;
    let mut changed = switch();
    changed["targeting"] = json!({"if": [{"$ref": "pro"}, "off", "on"]});
    for key in ["f", "new"] {
        let body = json!({"definition": changed, "context": {"plan": "pro"}});
        let told = tenant.post(&format!("/v1/flags/{key}/explain"), body).await.expect(StatusCode::OK);
        assert_eq!((&told["variant"], &told["reason"]), (&json!("off"), &json!("TARGETING_MATCH")));
    }
    assert_eq!(everything(&tenant).await, before);
    tenant.get("/v1/flags/new").await.refused(404, "flag_not_found");
}

async fn what_cannot_be_explained_is_refused(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", for_plan("pro")).await;
    tenant.post("/v1/flags/g/explain", json!({})).await.refused(404, "flag_not_found");
    let path = "/v1/flags/f/explain";
    let problem = tenant.post(path, json!({"definition": {"state": "ON", "variants": {"a": 1}}})).await;
    assert_eq!(problem.refused(422, "validation_failed")["errors"][0]["pointer"], "/definition/state");
    for body in [json!({"context": []}), json!({"context": 1}), json!({"other": 1}), json!({"definition": []})] {
        tenant.post(path, body).await.refused(422, "validation_failed");
    }
}
