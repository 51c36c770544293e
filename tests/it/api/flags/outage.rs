//! While the backend cannot be asked, the last known rules go on; nothing is stored.

use super::{evaluate, for_plan, put, switch};
use crate::harness::app::App;
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;

const QUICK: [(&str, &str); 2] = [("REDIS_CONNECTION_TIMEOUT", "200ms"), ("REDIS_COMMAND_TIMEOUT", "500ms")];

#[tokio::test]
async fn the_last_known_rules_go_on_and_what_changes_them_is_refused() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &QUICK);
    let (tenant, stranger) = (app.tenant().await, app.tenant().await);
    put(&tenant, "f", for_plan("pro")).await;
    evaluate(&tenant, "f", json!({"plan": "pro"})).await;
    stranger.get("/v1/flags").await.expect(StatusCode::OK);
    redis.stop();
    for _ in 0..20 {
        let answer = evaluate(&tenant, "f", json!({"plan": "pro"})).await;
        assert_eq!((&answer["variant"], &answer["reason"]), (&json!("on"), &json!("TARGETING_MATCH")));
        let bulk = tenant.post("/ofrep/v1/evaluate/flags", json!({"context": {"plan": "basic"}})).await;
        assert_eq!(bulk.expect(StatusCode::OK)["flags"][0]["variant"], "off");
    }
    // What was never known here cannot be told from what is not there.
    let problem = stranger.post("/ofrep/v1/evaluate/flags/f", json!({})).await.refused(503, "backend_unavailable");
    assert_eq!((&problem["key"], &problem["errorCode"]), (&json!("f"), &json!("GENERAL")));
    tenant.put("/v1/flags/f", switch()).await.refused(503, "backend_unavailable");
    tenant.get("/v1/flagset").await.refused(503, "backend_unavailable");
    redis.go_on();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while tenant.put("/v1/flags/f", switch()).await.status != StatusCode::OK {
        assert!(std::time::Instant::now() < patience, "it does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(evaluate(&tenant, "f", json!({})).await["reason"], "STATIC");
}
