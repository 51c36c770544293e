//! A REST endpoint that takes requests and answers none: an attempt there may take longer than a request.

use crate::harness::app::{App, Caller};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request may take 2 s; a busy machine adds some.
const LONGEST: Duration = Duration::from_millis(3500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_hangs_is_noticed_and_health_says_so_in_time() {
    let redis = RedisServer::shared();
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let app = App::over_rest(redis, double.clone(), &[]);
    let tenant = app.tenant().await;
    tenant.put("/v1/sessions/mine", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    double.always(Fault::DelayBefore(Duration::from_secs(600)));
    // What it remembers of the key is too old then: the first thing that a request asks is that.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let begun = Instant::now();
    let key = format!("Bearer {}", tenant.secret);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let caller = Caller::of(&app.base).with("authorization", &key);
            tokio::spawn(async move {
                let mut longest = Duration::ZERO;
                loop {
                    let asked = Instant::now();
                    caller.get("/v1/sessions/mine").await.refused(503, "backend_unavailable");
                    longest = longest.max(asked.elapsed());
                    if asked.elapsed() < Duration::from_millis(100) {
                        return (begun.elapsed(), longest);
                    }
                    assert!(begun.elapsed() < Duration::from_secs(60), "it is never noticed");
                }
            })
        })
        .collect();
    let anyone = Caller::of(&app.base);
    for path in ["/health", "/health/live", "/status", "/health/ready"] {
        let asked = Instant::now();
        let answer = anyone.get(path).await;
        let took = asked.elapsed();
        assert!(took < LONGEST, "{path}: {took:?}");
        assert!(answer.json().get("code").is_none(), "{path}: {}", answer.text);
        let fine = matches!(path, "/health" | "/health/live");
        assert_eq!(answer.status.as_u16(), if fine { 200 } else { 503 }, "{path}: {}", answer.text);
    }
    for client in clients {
        let (noticed, longest) = client.await.expect("it is noticed");
        assert!(noticed < Duration::from_secs(20), "{noticed:?}");
        assert!(longest < LONGEST, "{longest:?}");
    }
    double.heal();
    let healed = Instant::now();
    while anyone.get("/health/ready").await.status != StatusCode::OK {
        assert!(healed.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tenant.get("/v1/sessions/mine").await.expect(StatusCode::OK);
}
