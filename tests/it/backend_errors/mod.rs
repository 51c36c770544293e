//! Every error of a Redis that means something, given by a real one: what a client is told, what goes on all
//! the same, whether the server is ready, and that all heals when the cause is gone. Each test asks Redis
//! whether it really gave that error. That memory is full has its test with the API, in `api/full.rs`.

mod busy;
mod credentials;
mod read_only;
mod scripts;
mod unsaved;

use crate::harness::app::{Answer, App, Tenant};
use crate::harness::redis_server::RedisServer;
use redis::aio::MultiplexedConnection;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// An application over a Redis of its own, a tenant with a session, and a hand on that Redis.
struct World {
    redis: Arc<RedisServer>,
    app: App,
    tenant: Tenant,
    session: String,
    hand: MultiplexedConnection,
}

impl World {
    async fn over(redis: Arc<RedisServer>, variables: &[(&str, &str)]) -> World {
        let mut hand = hand(&redis.url()).await;
        // A user of our own, whatever becomes of the one that the application is.
        let user = ["SETUSER", "hand", "on", ">hand", "~*", "&*", "+@all"];
        redis::cmd("ACL").arg(&user).exec_async(&mut hand).await.expect("a user");
        redis::cmd("AUTH").arg(&["hand", "hand"]).exec_async(&mut hand).await.expect("it is let in");
        let app = App::over(redis.clone(), variables);
        let tenant = app.tenant().await;
        let session = create(&tenant).await.expect(StatusCode::CREATED);
        let session = session["id"].as_str().expect("an id").to_owned();
        World { redis, app, tenant, session, hand }
    }

    async fn new() -> World {
        World::over(Arc::new(RedisServer::start()), &[]).await
    }

    /// Says something to Redis, which must agree.
    async fn tell(&mut self, words: &[&str]) {
        redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut self.hand).await.expect("it agrees");
    }

    /// A figure of `INFO`.
    async fn figure(&mut self, name: &str) -> u64 {
        let info: String = redis::cmd("INFO").arg("all").query_async(&mut self.hand).await.expect("it tells");
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let digits = |text: &str| text.trim_start_matches("count=").parse().expect("a number");
        line.map_or(0, |line| digits(line.trim()))
    }

    /// How often it gave this error.
    async fn gave(&mut self, code: &str) -> u64 {
        self.figure(&format!("errorstat_{code}")).await
    }

    /// Closes every connection but ours.
    async fn hang_up(&mut self) {
        self.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }

    async fn read(&self) -> Answer {
        self.tenant.get(&format!("/v1/sessions/{}?touch=false", self.session)).await
    }

    async fn write(&self) -> Answer {
        create(&self.tenant).await
    }

    /// Waits until readiness says so.
    async fn is_ready(&self, ready: bool) {
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let begun = Instant::now();
        while self.app.anyone().get("/health/ready").await.status != status {
            assert!(begun.elapsed() < PATIENCE, "readiness does not become {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all is well, and what was there still is.
    async fn heals(&self) {
        let begun = Instant::now();
        while self.write().await.status != StatusCode::CREATED || self.read().await.status != StatusCode::OK {
            assert!(begun.elapsed() < PATIENCE, "it does not heal");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.is_ready(true).await;
    }
}

async fn hand(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("it is up")
}

async fn create(tenant: &Tenant) -> Answer {
    tenant.post("/v1/sessions", json!({"user_id": "u1"})).await
}

/// It is a 503 that shows nothing of its cause, and does not leave open whether something was done.
#[track_caller]
fn is_unavailable(answer: &Answer) {
    let problem = answer.refused(503, "backend_unavailable");
    assert_eq!(problem["outcome"], Value::Null, "Redis says that it did nothing");
    let after: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..60).contains(&after));
    let told = answer.text.to_lowercase();
    let inside = ["redis", "127.0.0.1", "script", "replica", "noperm", "noauth", "wrongpass", "misconf", "loading"];
    for word in inside.into_iter().chain(["busy", "readonly", "clusterdown", "masterdown", "max number", "password"]) {
        assert!(!told.contains(word), "{word}: {told}");
    }
}
