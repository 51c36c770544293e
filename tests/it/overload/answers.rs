//! Answers that are not read as fast as they are asked for.

use super::{IN_FLIGHT, SLOW, metric, turned_away, until};
use crate::harness::app::{App, On};
use crate::harness::raw::Raw;
use reqwest::StatusCode;
use serde_json::json;

const ANSWER_BYTES: &str = "agentapi_http_answer_bytes";

#[tokio::test]
async fn a_tenant_that_does_not_read_its_answers_gets_no_more_of_them_and_others_do() {
    let app = App::with(On::Memory, &SLOW);
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    for caller in [&tenant, &other] {
        let large = json!({"user_id": "u1", "id": "large", "data": {"text": "x".repeat(900_000)}});
        caller.post("/v1/sessions", large).await.expect(StatusCode::CREATED);
    }
    // More than what the sockets between take, and than the tenant's part.
    let body = json!({"get": vec!["large"; 20]}).to_string();
    let mut idle = Raw::connect(&app.base);
    let head = format!(
        "POST /v1/sessions/batch HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        tenant.secret,
        body.len()
    );
    assert!(idle.send(head.as_bytes()));
    while metric(&app, ANSWER_BYTES).await == 0 {
        tokio::task::yield_now().await;
    }
    assert!(metric(&app, ANSWER_BYTES).await > 18_000_000);
    assert_eq!(metric(&app, IN_FLIGHT).await, 0, "it was answered");
    turned_away(&tenant.get("/v1/sessions/large").await, "tenant_busy");
    turned_away(&tenant.post("/v1/sessions", json!({"user_id": "u2"})).await, "tenant_busy");
    let read = other.get("/v1/sessions/large").await.expect(StatusCode::OK);
    assert_eq!(read["data"]["text"].as_str().map(str::len), Some(900_000));

    let answer = idle.answer();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.len() > 18_000_000, "it is whole when it is read");
    until(&app, ANSWER_BYTES, 0).await;
    assert!(idle.send(head.as_bytes()));
    while metric(&app, ANSWER_BYTES).await == 0 {
        tokio::task::yield_now().await;
    }
    drop(idle);
    until(&app, ANSWER_BYTES, 0).await;
    tenant.get("/v1/sessions/large").await.expect(StatusCode::OK);
}
