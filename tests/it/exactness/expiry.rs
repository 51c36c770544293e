//! Limiter keys expire by themselves: after any test here, none is without a time to live.

use super::{ALGORITHMS, Two, ask, check};
use crate::harness::app::On;
use crate::harness::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use reqwest::StatusCode;
use std::collections::BTreeSet;

/// Families whose keys count uses. Policies stay until they are deleted.
fn counts(family: &str) -> bool {
    family.starts_with("rate-limit") && !family.starts_with("rate-limit-polic") || family.starts_with("api-requests")
}

async fn connect(redis: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("it is up")
}

/// The families of the limiter keys below this prefix, and those of these keys that never expire.
async fn limiter_keys(redis: &RedisServer, prefix: &str) -> (BTreeSet<String>, Vec<String>) {
    let mut connection = connect(redis).await;
    let (mut families, mut eternal, mut cursor) = (BTreeSet::new(), Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}:*")).arg("COUNT").arg(1000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.expect("a page");
        for key in keys {
            let family = key.split_once("}:").and_then(|(_, rest)| rest.split(':').next()).expect("a family");
            if counts(family) {
                families.insert(family.to_owned());
                let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.expect("a number");
                if left == -1 {
                    eternal.push(key);
                }
            }
        }
        cursor = next;
        if cursor == 0 {
            return (families, eternal);
        }
    }
}

impl Two {
    /// Looks at every key of the test: there are limiters, and none is without a time to live.
    pub async fn every_limiter_key_expires(&self) -> BTreeSet<String> {
        let redis = self.apps[0].redis.as_ref().expect("there is a Redis");
        let (families, eternal) = limiter_keys(redis, &self.prefix).await;
        assert!(!families.is_empty(), "no limiter was found below {}", self.prefix);
        assert!(eternal.is_empty(), "without a time to live: {eternal:?}");
        families
    }
}

#[tokio::test]
async fn a_key_that_never_expires_is_found() {
    let redis = RedisServer::shared();
    let mut connection = connect(&redis).await;
    for (key, expires) in [("rate-limit:a", true), ("rate-limit-log:b:c", false), ("rate-limit-policies", false)] {
        let mut set = redis::cmd("SET");
        set.arg(format!("expiry-scan:{{acme:00}}:{key}")).arg("1");
        if expires {
            set.arg("PX").arg(60_000);
        }
        set.exec_async(&mut connection).await.expect("it is stored");
    }
    let (families, eternal) = limiter_keys(&redis, "expiry-scan").await;
    assert!(families.into_iter().eq(["rate-limit", "rate-limit-log"]));
    assert_eq!(eternal, ["expiry-scan:{acme:00}:rate-limit-log:b:c"]);
}

#[tokio::test]
async fn no_limiter_outlives_its_window_whatever_was_done_to_it() {
    let two =
        Two::with(On::Native, &[("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "100000")]).await;
    let caller = &two.callers[0];
    for algorithm in ALGORITHMS {
        let body = check("touched", 2, algorithm);
        for _ in 0..3 {
            ask(caller, &body).await;
        }
        two.current(&body).await;
        let held = caller.post("/v1/ratelimit/reserve", check("held", 5, algorithm)).await.expect(StatusCode::CREATED);
        let settled =
            caller.post("/v1/ratelimit/reserve", check("settled", 5, algorithm)).await.expect(StatusCode::CREATED);
        assert!(held["reservation"].is_string(), "{held}");
        let settle = format!("/v1/ratelimit/reservations/{}/commit", settled["reservation"].as_str().expect("an id"));
        caller.post(&settle, serde_json::json!({"cost": 1})).await.expect(StatusCode::OK);
    }
    caller.delete("/v1/ratelimit?key=settled").await.expect(StatusCode::NO_CONTENT);
    ask(caller, &check("settled", 5, "sliding_log")).await;
    let families = two.every_limiter_key_expires().await;
    assert!(families.iter().any(|family| family.starts_with("api-requests")), "{families:?}");
    assert!(families.iter().filter(|family| family.starts_with("rate-limit")).count() >= 4, "{families:?}");
}
