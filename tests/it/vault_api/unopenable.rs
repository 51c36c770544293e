//! Records that do not open are in nobody's way, and keep their data key.

use super::{PATIENT, are_kept, census, job, keep};
use crate::harness::app::{App, On};
use crate::harness::backend::Backend;
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn what_does_not_open_is_left_with_its_key_and_told() {
    let app = App::with(On::Native, &PATIENT);
    let tenant = app.tenant().await;
    keep(&tenant, 10).await;
    for n in 10..13 {
        tenant.put(&format!("/v1/tokens/u{n}/p"), json!({"access_token": "damaged"})).await.expect(StatusCode::CREATED);
    }
    let redis = Backend::on(app.redis.clone().unwrap());
    let key = async |user: &str| {
        let found = redis.ask(&["KEYS", &format!("*{{{}:*}}:token:{user}:p", tenant.id)]).await.array().unwrap();
        found.into_iter().next().unwrap().text().unwrap()
    };
    for user in ["u10", "u11"] {
        redis.ask(&["HSET", &key(user).await, "sealed", "AAAA"]).await.int().unwrap();
    }
    // One that another hand took away leaves its place in the index.
    redis.ask(&["DEL", &key("u12").await]).await.int().unwrap();
    job(&app, "rotate", json!({})).await;
    let rewrapped = job(&app, "rewrap", json!({})).await;
    assert_eq!((&rewrapped["state"], &rewrapped["done"]), (&json!("done"), &json!(11)), "{rewrapped}");
    let note = rewrapped["error"].as_str().unwrap();
    assert!(note.starts_with("2 records do not open"), "{note}");
    assert_eq!(census(&app, &tenant).await, [(1, 2), (2, 11)], "their data key stays");
    are_kept(&tenant, 10).await;
    tenant.delete("/v1/tokens/u10/p").await.expect(StatusCode::NO_CONTENT);
    tenant.put("/v1/tokens/u11/p", json!({"access_token": "mended"})).await.expect(StatusCode::OK);
    let rewrapped = job(&app, "rewrap", json!({})).await;
    assert_eq!(rewrapped["error"], json!(null), "{rewrapped}");
    assert_eq!(census(&app, &tenant).await, [(2, 12)]);
}
