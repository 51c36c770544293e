//! A Redis that forgets the scripts all the time: nobody notices.

use super::World;
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn scripts_that_are_forgotten_all_the_time_are_told_again_alone_and_in_pipelines() {
    let mut world = World::new().await;
    let mut forgets = world.hand.clone();
    let forgets = tokio::spawn(async move {
        loop {
            redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut forgets).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    for round in 0..20 {
        let mut ids = Vec::new();
        for n in 0..5 {
            let body = json!({"user_id": format!("u{n}")});
            ids.push(world.tenant.post("/v1/sessions", body).await.expect(StatusCode::CREATED)["id"].clone());
        }
        // One that is used, and a request that ends many in one pipeline of scripts.
        let path = format!("/v1/sessions/{}", ids[0].as_str().unwrap());
        world.tenant.get(&path).await.expect(StatusCode::OK);
        let before = world.gave("NOSCRIPT").await;
        world.tell(&["SCRIPT", "FLUSH"]).await;
        let ended = world.tenant.post("/v1/sessions/batch", json!({"delete": ids})).await.expect(StatusCode::OK);
        assert_eq!(ended, json!({"deleted": 5}), "round {round}");
        assert!(world.gave("NOSCRIPT").await > before);
        let left = world.tenant.post("/v1/sessions/batch", json!({"get": ids})).await.expect(StatusCode::OK);
        assert!(left["items"].as_array().unwrap().iter().all(Value::is_null));
    }
    assert!(!forgets.is_finished());
    forgets.abort();
    assert!(world.gave("NOSCRIPT").await >= 40);
}
