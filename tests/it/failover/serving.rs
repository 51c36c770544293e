//! The native way is lost under a running server, and comes back.

use super::{World, until, warnings};
use crate::harness::chaos_proxy::Mode;
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[tokio::test]
async fn requests_go_over_rest_while_the_native_way_is_lost_and_natively_again_when_it_is_back() {
    let world = World::new();
    let app = world.app(&[("REDIS_FAILBACK_AFTER", "1s")]);
    let anyone = app.anyone();
    let ready = until(&anyone, |status| status["failover"] == "ready").await;
    assert_eq!((&ready["status"], &ready["transport"]), (&json!("ok"), &json!("native")));
    let (codes, diagnosis) = warnings(&app).await;
    assert_eq!(codes, Vec::<String>::new(), "{diagnosis}");
    assert_eq!(diagnosis["failover"], json!({"state": "ready", "last_switch": null, "failback_after_s": 1}));
    let tenant = app.tenant().await;
    let before = tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    let by_rest = world.double.commands();

    world.block();
    let lost = Instant::now();
    let mut refused = 0;
    loop {
        let answer = tenant.post("/v1/sessions", json!({"user_id": "u2"})).await;
        if answer.status == StatusCode::CREATED {
            break;
        }
        answer.refused(503, "backend_unavailable");
        refused += 1;
        assert!(refused <= 5, "REST is not taken");
    }
    assert!(world.network.counts().resets.load(Ordering::SeqCst) > 0, "nothing was injected");
    assert!(world.double.commands() > by_rest);
    for _ in 0..20 {
        let made = tenant.post("/v1/sessions", json!({"user_id": "u3"})).await.expect(StatusCode::CREATED);
        let path = format!("/v1/sessions/{}", made["id"].as_str().unwrap());
        tenant.get(&path).await.expect(StatusCode::OK);
    }
    let path = format!("/v1/sessions/{}", before["id"].as_str().unwrap());
    tenant.get(&path).await.expect(StatusCode::OK);
    let status = anyone.get("/status").await.expect(StatusCode::OK);
    let told = ["status", "transport", "redis_status", "failover"].map(|member| status[member].as_str().unwrap());
    assert_eq!(told, ["degraded", "rest", "healthy", "active"]);
    anyone.get("/health/ready").await.expect(StatusCode::OK);
    let (codes, diagnosis) = warnings(&app).await;
    assert_eq!(codes, ["failover_active", "door_open"], "{diagnosis}");
    assert_eq!(diagnosis["transport"], "rest");
    assert_eq!(diagnosis["doors"][0]["state"], "open");
    assert!(diagnosis["failover"]["last_switch"].is_string() && diagnosis["doors"][0]["last_failure"].is_object());
    let metrics = anyone.get("/metrics").await.text;
    assert!(metrics.contains("agentapi_backend_breaker_open{door=\"native\"} 1"), "{metrics}");
    assert!(metrics.contains("agentapi_backend_switches_total{door=\"rest\"} 1"), "{metrics}");

    world.network.set(Mode::Pass);
    let status = until(&anyone, |status| status["transport"] == "native").await;
    assert_eq!((&status["status"], &status["failover"]), (&json!("ok"), &json!("ready")));
    assert!(lost.elapsed() > Duration::from_secs(9), "there are ten seconds between two switches");
    let by_rest = world.double.commands();
    tenant.get(&path).await.expect(StatusCode::OK);
    assert_eq!(world.double.commands(), by_rest, "REST is not asked any more");
    assert_eq!(warnings(&app).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn between_two_databases_there_is_no_failover() {
    let other = RedisServer::start();
    let world = World { double: RestDouble::start(other.port(), "rest-token"), ..World::new() };
    let app = world.app(&[]);
    let status = until(&app.anyone(), |status| status["failover"] == "off").await;
    assert_eq!((&status["status"], &status["transport"]), (&json!("degraded"), &json!("native")));
    app.anyone().get("/health/ready").await.expect(StatusCode::OK);
    assert_eq!(warnings(&app).await.0, ["failover_off_different_databases"]);
    let tenant = app.tenant().await;
    world.block();
    until(&app.anyone(), |status| status["status"] == "unavailable").await;
    let by_rest = world.double.commands();
    for _ in 0..20 {
        tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.refused(503, "backend_unavailable");
    }
    assert_eq!(world.double.commands(), by_rest, "nothing went into the other database");
    let (codes, diagnosis) = warnings(&app).await;
    assert_eq!(codes, ["failover_off_different_databases", "door_open"], "{diagnosis}");
    assert_eq!(diagnosis["warnings"][1]["level"], "critical");
}

#[tokio::test]
async fn a_server_with_one_way_says_nothing_of_failover() {
    let world = World::new();
    let app = world.app(&[("REDIS_REST_FALLBACK", "false")]);
    let status = app.anyone().get("/status").await.expect(StatusCode::OK);
    assert_eq!((&status["status"], status.get("failover")), (&json!("ok"), None));
    let (codes, diagnosis) = warnings(&app).await;
    assert_eq!((codes, &diagnosis["failover"]), (Vec::new(), &Value::Null));
    assert_eq!(diagnosis["doors"].as_array().unwrap().len(), 1);
    world.block();
    until(&app.anyone(), |status| status["status"] == "unavailable").await;
    assert_eq!(world.double.requests(), 0);
}
