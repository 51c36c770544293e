//! Connections that lead nowhere any more, as when a firewall has forgotten them, before a healthy Redis.

use super::{SLACK, alone, spread};
use crate::harness::app::{App, Caller};
use crate::harness::chaos_proxy::ChaosProxy;
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Within this time they are replaced; twice as long is allowed for a busy machine.
const PROMISED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_lead_nowhere_are_replaced_while_redis_is_healthy() {
    let _alone = alone().await;
    let server = Arc::new(RedisServer::start());
    let proxy = ChaosProxy::before(server.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(server, &[("REDIS_URL", &url), ("WORKERS", "2")]);
    let tenant = app.tenant().await;
    tenant.put("/v1/sessions/probe", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    let key = format!("Bearer {}", tenant.secret);
    let callers: Vec<Caller> = (0..8).map(|_| Caller::of(&app.base).with("authorization", &key)).collect();
    for caller in &callers {
        caller.get("/v1/sessions/probe").await.expect(StatusCode::OK);
    }
    let (mut again, mut longest) = (Vec::new(), Duration::ZERO);
    for round in 1..=3 {
        let (open, swallowed) = (proxy.open(), proxy.counts().swallowed.load(SeqCst));
        assert!(open >= 2, "each worker has a connection");
        proxy.black_hole_existing();
        let begun = Instant::now();
        let served = join_all(callers.iter().map(async |caller| {
            let mut longest = Duration::ZERO;
            loop {
                let asked = Instant::now();
                let status = caller.get("/v1/sessions/probe").await.status;
                longest = longest.max(asked.elapsed());
                if status == StatusCode::OK {
                    return (begun.elapsed(), longest);
                }
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                assert!(begun.elapsed() < Duration::from_secs(20), "it is not served again in round {round}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
        for (served, waited) in served.await {
            again.push(served);
            longest = longest.max(waited);
        }
        assert!(proxy.counts().swallowed.load(SeqCst) > swallowed, "the old connections were used");
    }
    println!(
        "black-holed three times, {} bytes swallowed over {} connections: served again after {}; the longest answer \
         {longest:?}",
        proxy.counts().swallowed.load(SeqCst),
        proxy.counts().accepted.load(SeqCst),
        spread(&mut again)
    );
    assert!(again.iter().max() < Some(&(PROMISED * 2)));
    assert!(longest < PROMISED + SLACK, "{longest:?}");
}
