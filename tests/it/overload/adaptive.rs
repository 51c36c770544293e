//! The limit follows how long requests take.

use super::{PATIENCE, metric, tenant};
use crate::harness::app::App;
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

const LIMIT: &str = "agentapi_http_in_flight_limit";

#[tokio::test]
async fn a_backend_that_hangs_leaves_few_waiting_and_its_return_lets_all_in_again() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("MAX_IN_FLIGHT", "64"),
        ("REQUEST_TIMEOUT", "1s"),
        ("REDIS_COMMAND_TIMEOUT", "900ms"),
    ];
    let app = App::over(redis, &variables);
    let tenant = tenant(&app, "acme", Some(64)).await;
    tenant.post("/v1/sessions", json!({"user_id": "u1", "id": "s1"})).await.expect(StatusCode::CREATED);
    assert_eq!(metric(&app, LIMIT).await, 64);
    let ends = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (tenant, ends) = (tenant.clone(), ends.clone());
            tokio::spawn(async move {
                while !ends.load(SeqCst) {
                    let answer = tenant.get("/v1/sessions/s1").await;
                    assert!(matches!(answer.status.as_u16(), 200 | 503), "{answer:?}");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let becomes = async |wanted: u64| {
        let begun = Instant::now();
        while metric(&app, LIMIT).await != wanted {
            assert!(begun.elapsed() < PATIENCE, "the limit is {}, not {wanted}", metric(&app, LIMIT).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    proxy.set(Mode::Hold);
    becomes(4).await;
    assert!(proxy.counts().held.load(SeqCst) > 0);
    proxy.set(Mode::Pass);
    let back = Instant::now();
    becomes(64).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?} to let all in again", back.elapsed());
    ends.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    tenant.get("/v1/sessions/s1").await.expect(StatusCode::OK);
}
