//! What the log says of two ways to Redis.

use super::Process;
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;

fn serve(native: u16, double: &RestDouble) -> Process {
    let (native, rest) = (format!("redis://127.0.0.1:{native}"), double.url());
    Process::serve(&[
        ("REDIS_URL", &native),
        ("UPSTASH_REDIS_REST_URL", &rest),
        ("UPSTASH_REDIS_REST_TOKEN", "canary-token"),
    ])
}

#[test]
fn the_log_says_that_two_databases_are_not_one() {
    let (redis, other) = (RedisServer::start(), RedisServer::start());
    let double = RestDouble::start(other.port(), "canary-token");
    let mut server = serve(redis.port(), &double);
    server.wait_for(|_, log| log.contains("failover to REST is off").then_some(()));
    let (_, _, log) = server.terminate();
    assert_eq!(log.matches("\"level\":\"ERROR\"").count(), 1, "{log}");
    assert!(!log.contains("canary-token") && !log.contains(&format!(":{}", redis.port())), "{log}");
}

#[test]
fn the_log_says_once_that_a_way_is_shut_and_that_the_other_is_taken_and_names_no_host() {
    let redis = RedisServer::start();
    let (network, double) = (ChaosProxy::before(redis.port()), RestDouble::start(redis.port(), "canary-token"));
    let mut server = serve(network.port(), &double);
    server.wait_for(|_, log| log.contains("failover is ready").then_some(()));
    network.set(Mode::Refuse);
    assert!(network.reset() > 0);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let caller = server.anyone();
    server.wait_for(|_, log| {
        // Health checks are what notices.
        runtime.block_on(caller.get("/status"));
        log.contains("requests go over REST").then_some(())
    });
    network.set(Mode::Pass);
    server.wait_for(|_, log| log.contains("is open again").then_some(()));
    let (_, _, log) = server.terminate();
    for line in ["this way to the backend is shut", "requests go over REST", "is open again"] {
        assert_eq!(log.matches(line).count(), 1, "{line}\n{log}");
    }
    for secret in ["canary-token", &format!(":{}", network.port()), &double.url()] {
        assert!(!log.contains(secret), "{log}");
    }
}
