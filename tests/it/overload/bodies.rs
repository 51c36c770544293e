//! What is held in memory for requests: their bodies, and the answers of the backend.

use super::{BODY_BYTES, IN_FLIGHT, SLOW, Unfinished, until};
use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::raw::Raw;
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// What every body may have without room.
const SMALL: usize = 4096;

#[tokio::test]
async fn bodies_beyond_their_room_are_refused_and_the_room_comes_back() {
    let app = App::with(On::Memory, &[&SLOW[..], &[("MAX_BODY_BYTES", "40MiB")]].concat());
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let begin = |secret: &str| {
        let mut connection = Raw::connect(&app.base);
        let head = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            secret,
            40 * MIB
        );
        assert!(connection.send(head.as_bytes()));
        // One that is refused stops being read.
        connection.send(&vec![b' '; 33 * MIB]);
        connection
    };
    let first = begin(&tenant.secret);
    until(&app, BODY_BYTES, (33 * MIB - SMALL) as u64).await;
    tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    for (secret, code) in [(&tenant.secret, "\"tenant_busy\""), (&other.secret, "\"overloaded\"")] {
        let answer = begin(secret).answer();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains(code) && answer.to_lowercase().contains("retry-after: 1\r\n"), "{answer}");
    }
    until(&app, BODY_BYTES, (33 * MIB - SMALL) as u64).await;
    drop(first);
    until(&app, BODY_BYTES, 0).await;
    until(&app, IN_FLIGHT, 0).await;
    let mut alone = begin(&tenant.secret);
    assert!(alone.send(&vec![b' '; 7 * MIB]));
    let answer = alone.answer();
    assert!(answer.starts_with("HTTP/1.1 400"), "read whole, and found to be no JSON: {answer}");
    until(&app, BODY_BYTES, 0).await;
}

#[tokio::test]
async fn a_body_that_is_late_is_said_to_be_so_however_long_the_authentication_took() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let (url, prefix) = (format!("redis://127.0.0.1:{}", proxy.port()), ("REDIS_KEY_PREFIX", "late-bodies"));
    let first = App::over(redis.clone(), &[prefix]);
    let made = first.admin().post("/admin/v1/tenants", json!({"id": "acme", "create_key": true})).await;
    let credential = format!("x-api-key: {}", super::key(&made.expect(StatusCode::CREATED)));
    // This one knows no key yet: it looks, reads the key, and reads its tenant.
    let app = App::over(redis, &[prefix, ("REDIS_URL", &url), ("REQUEST_TIMEOUT", "2s")]);
    proxy.set(Mode::Delay(Duration::from_millis(75)));
    let mut late = Unfinished::create(&app, &credential, "late");
    assert_eq!(late.status(), "HTTP/1.1 408 Request Timeout");
    assert!(proxy.counts().delayed.load(SeqCst) > 0);
}

#[tokio::test]
async fn a_batch_whose_answer_is_too_large_is_told_to_ask_for_fewer() {
    let server = RedisServer::shared();
    let double = Arc::new(RestDouble::start(server.port(), "rest-token"));
    let app = App::over_rest(server, double.clone(), &SLOW);
    let tenant = app.tenant().await;
    for attempt in 1.. {
        tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        double.always(Fault::Flood(65 * MIB));
        let before = double.requests();
        let answer = tenant.post("/v1/sessions/batch", json!({"get": ["a", "b"]})).await;
        assert!(double.requests() > before, "the flood came");
        double.heal();
        // The look for changes of tenants, once in a while, drowns as well: then it is that which failed.
        if answer.status != StatusCode::SERVICE_UNAVAILABLE || attempt == 5 {
            let problem = answer.refused(422, "answer_too_large");
            assert_eq!(problem.get("outcome"), None);
            break;
        }
    }
    let served = tenant.post("/v1/sessions/batch", json!({"get": ["a", "b"]})).await;
    served.expect(StatusCode::OK);
}
