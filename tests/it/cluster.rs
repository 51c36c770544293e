//! A Redis in cluster mode, with one node that has all slots: it refuses every script, transaction and command whose keys
//! are not all in one slot, so what works there keeps to the layout that a cluster of many nodes needs.

use crate::harness::app::App;
use crate::harness::redis_server::RedisServer;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The node, once it serves. Right after its start it refuses writes for a moment.
async fn node() -> Arc<RedisServer> {
    let redis = Arc::new(RedisServer::start_with(&["--cluster-enabled", "yes"]));
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let all = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16383).to_owned();
    all.exec_async(&mut connection).await.unwrap();
    let started = Instant::now();
    while redis::cmd("SET").arg("probe").arg(1).exec_async(&mut connection).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the node does not serve");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let across = redis::cmd("MSET").arg("a").arg(1).arg("b").arg(2).exec_async(&mut connection).await.unwrap_err();
    assert!(across.to_string().contains("same slot"), "{across}");
    redis
}

#[tokio::test]
async fn no_operation_spans_two_slots() {
    let app = App::over(node().await, &[]);
    let tenant = app.named_tenant("acme").await;
    let made =
        tenant.post("/v1/sessions", json!({"user_id": "alice", "refresh": true})).await.expect(StatusCode::CREATED);
    let session = format!("/v1/sessions/{}", made["id"].as_str().unwrap());
    let limits = json!([{"key": "a", "limit": 9, "window": "60s"}, {"key": "b", "limit": 9, "window": "60s"}]);
    let flag = json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"});
    for (method, path, body) in [
        (Method::GET, session.as_str(), None),
        (Method::PATCH, &session, Some(json!({"data": {"theme": "dark"}}))),
        (Method::GET, "/v1/sessions", None),
        (Method::GET, "/v1/users/alice/sessions", None),
        (Method::POST, "/v1/sessions/batch", Some(json!({"get": [made["id"]]}))),
        (Method::DELETE, "/v1/users/alice/sessions", None),
        (Method::PUT, "/v1/tokens/alice/google", Some(json!({"access_token": "ya29", "expires_in": "1h"}))),
        (Method::PUT, "/v1/tokens/bob/google", Some(json!({"access_token": "ya30"}))),
        (Method::GET, "/v1/tokens/alice/google", None),
        (Method::POST, "/v1/ratelimit/check", Some(json!({"checks": limits}))),
        (Method::POST, "/v1/breakers/payments/acquire", None),
        (Method::POST, "/v1/breakers/payments/report", Some(json!({"outcome": "failure"}))),
        (Method::GET, "/v1/breakers", None),
        (Method::PUT, "/v1/flags/new", Some(flag)),
        (Method::POST, "/ofrep/v1/evaluate/flags/new", Some(json!({"context": {"targetingKey": "alice"}}))),
    ] {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let answer = tenant.send(method.clone(), path, bytes).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
    app.admin().delete("/admin/v1/tenants/acme").await.expect(StatusCode::ACCEPTED);
    let started = Instant::now();
    while app.admin().get("/admin/v1/jobs").await.expect(StatusCode::OK)["items"][0]["state"] != "done" {
        assert!(started.elapsed() < Duration::from_secs(60), "the tenant is not deleted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
