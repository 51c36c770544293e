//! What a server knows of its two ways when it starts while one of them is blocked.

use super::{World, until, warnings};
use crate::harness::chaos_proxy::Mode;
use crate::harness::rest_double::Fault;
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_server_that_starts_while_the_native_way_is_blocked_takes_rest_if_that_was_ever_proved() {
    let world = World::new();
    let prefix = [("REDIS_KEY_PREFIX", "proved")];
    let first = world.app(&prefix);
    until(&first.anyone(), |status| status["failover"] == "ready").await;
    let tenant = first.tenant().await;
    let made = tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    drop(first);
    world.block();
    let second = world.app(&prefix);
    let status = until(&second.anyone(), |status| status["transport"] == "rest").await;
    assert_eq!(status["failover"], "active");
    let path = format!("/v1/sessions/{}", made["id"].as_str().unwrap());
    let caller = second.anyone().with("x-api-key", &tenant.secret);
    caller.get(&path).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn what_was_never_proved_is_not_taken_until_it_is() {
    let world = World::new();
    world.block();
    let app = world.app(&[]);
    until(&app.anyone(), |status| status["status"] == "unavailable").await;
    // Long enough for the breaker, and for the first attempt to prove it.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let status = app.anyone().get("/status").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&status["transport"], &status["failover"]), (&json!("native"), &json!("unproven")));
    assert_eq!(warnings(&app).await.0, ["door_open", "failover_unproven"]);
    assert!(world.double.requests() > 0, "nobody looked");
    world.network.set(Mode::Pass);
    let status = until(&app.anyone(), |status| status["failover"] == "ready").await;
    assert_eq!((&status["status"], &status["transport"]), (&json!("ok"), &json!("native")));
}

#[tokio::test]
async fn a_rest_endpoint_that_cannot_be_asked_at_the_start_is_asked_again() {
    let world = World::new();
    world.double.always(Fault::HangUpBefore);
    let app = world.app(&[]);
    let status = app.anyone().get("/status").await.expect(StatusCode::OK);
    assert_eq!((&status["status"], &status["failover"]), (&json!("degraded"), &json!("unproven")));
    app.tenant().await.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    while world.double.requests() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world.double.heal();
    until(&app.anyone(), |status| status["failover"] == "ready").await;
}
