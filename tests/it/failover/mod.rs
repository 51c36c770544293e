//! Two ways to one database: when they are switched, and what becomes of requests meanwhile.

mod configured;
pub mod scripted;
mod serving;
mod starting;
mod switching;

use crate::harness::app::{App, Caller};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A Redis, a network before it that can be broken, and a REST server that reaches it another way.
struct World {
    redis: Arc<RedisServer>,
    network: ChaosProxy,
    double: RestDouble,
}

impl World {
    fn new() -> World {
        let redis = Arc::new(RedisServer::start());
        let (network, double) = (ChaosProxy::before(redis.port()), RestDouble::start(redis.port(), "rest-token"));
        World { redis, network, double }
    }

    /// An application that knows both ways, with more variables.
    fn app(&self, variables: &[(&str, &str)]) -> App {
        let (native, rest) = (format!("redis://127.0.0.1:{}", self.network.port()), self.double.url());
        let mut all = vec![
            ("REDIS_URL", native.as_str()),
            ("UPSTASH_REDIS_REST_URL", rest.as_str()),
            ("UPSTASH_REDIS_REST_TOKEN", "rest-token"),
        ];
        all.extend(variables);
        App::over(self.redis.clone(), &all)
    }

    /// Takes the native way away from everybody.
    fn block(&self) {
        self.network.set(Mode::Refuse);
        self.network.reset();
    }
}

/// Asks for `/status` until it holds what is wanted, and says what it was then.
async fn until(caller: &Caller, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = caller.get("/status").await.json();
        if wanted(&status) {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it stays {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The codes of the warnings in the diagnosis that are about the ways to the backend, and the diagnosis.
async fn warnings(app: &App) -> (Vec<String>, Value) {
    let diagnosis = app.admin().get("/admin/v1/redis").await.expect(reqwest::StatusCode::OK);
    let warnings = diagnosis["warnings"].as_array().expect("a list");
    let codes = warnings.iter().map(|warning| warning["code"].as_str().expect("a code").to_owned());
    let of_ways = |code: &String| code.starts_with("failover") || code.starts_with("door");
    (codes.filter(of_ways).collect(), diagnosis)
}
