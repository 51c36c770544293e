//! Hearing what is published although connections are lost: who listens is told that something may have been missed,
//! and hears again. What holds while all is well, the conformance suite asks of every backend.

mod both;

use crate::harness::backend::{native, rest};
use crate::harness::chaos_proxy::ChaosProxy;
use crate::harness::listening::{heard, next, over, publish, resumed};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use agentapi::db::transport::Subscriber;
use agentapi::db::transport::native::Native;
use agentapi::db::transport::rest::Rest;
use agentapi::db::{Command, Heard, Listener, SystemDb};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A Redis, and who hears it through a network that can be broken. What is published takes another way.
struct World {
    redis: RedisServer,
    double: RestDouble,
    network: ChaosProxy,
    publishes: SystemDb,
    listens: SystemDb,
}

fn natively(network: &ChaosProxy) -> Native {
    native(&format!("redis://127.0.0.1:{}", network.port()))
}

fn over_rest(network: &ChaosProxy) -> Rest {
    rest(&format!("http://127.0.0.1:{}", network.port()), "token")
}

impl World {
    fn native(with: impl FnOnce(Native) -> Native) -> World {
        let redis = RedisServer::start();
        let (double, network) = (RestDouble::start(redis.port(), "token"), ChaosProxy::before(redis.port()));
        let backend = Arc::new(with(natively(&network)));
        World::new(redis, double, network, backend)
    }

    fn rest(with: impl FnOnce(Rest) -> Rest) -> World {
        let redis = RedisServer::start();
        let double = RestDouble::start(redis.port(), "token");
        let network = ChaosProxy::before(double.url().rsplit(':').next().unwrap().parse().unwrap());
        let backend = Arc::new(with(over_rest(&network)));
        World::new(redis, double, network, backend)
    }

    fn new(redis: RedisServer, double: RestDouble, network: ChaosProxy, hears: Arc<dyn Subscriber>) -> World {
        let direct = Arc::new(native(&redis.url()));
        let publishes = over(direct.clone(), direct.clone(), "p");
        World { redis, double, network, publishes, listens: over(direct, hears, "p") }
    }

    async fn publish(&self, number: u32) -> i64 {
        publish(&self.publishes, &self.publishes.channel("changes"), &json!(number)).await
    }

    /// The listener has been told that it hears again, and does.
    async fn resumes(&self, listener: &mut Listener) {
        assert_eq!(next(listener).await, Heard::Resumed);
        assert!(listener.is_connected());
        assert!(self.publish(7).await >= 1);
        assert_eq!(heard(listener).await, json!(7));
    }
}

#[tokio::test]
async fn after_a_restart_of_redis_or_a_killed_connection_a_native_listener_hears_again() {
    let world = World::native(|native| native);
    let mut listener = resumed(&world.listens).await;
    assert_eq!(world.publish(1).await, 1);
    assert_eq!(heard(&mut listener).await, json!(1));
    world.redis.restart();
    world.resumes(&mut listener).await;
    let kill = Command::raw(agentapi::db::Effect::Once, ["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(world.publishes.run(kill).await.unwrap().int(), Ok(1));
    world.resumes(&mut listener).await;
    assert_eq!(world.network.reset(), 1);
    world.resumes(&mut listener).await;
}

#[tokio::test]
async fn after_a_cut_stream_or_a_restart_a_listener_over_rest_hears_again() {
    let world = World::rest(|rest| rest);
    let mut listener = resumed(&world.listens).await;
    assert_eq!(world.publish(1).await, 1);
    assert_eq!(heard(&mut listener).await, json!(1));
    world.double.cut();
    world.resumes(&mut listener).await;
    world.redis.restart();
    world.resumes(&mut listener).await;
    world.network.reset();
    world.resumes(&mut listener).await;
}

#[tokio::test]
async fn a_black_holed_connection_is_left_for_a_new_one() {
    let silence = Duration::from_millis(400);
    let native = World::native(|native| native.asking_after(silence));
    let rest = World::rest(|rest| rest.renewing_after(silence));
    for world in [native, rest] {
        let mut listener = resumed(&world.listens).await;
        world.network.black_hole_existing();
        world.resumes(&mut listener).await;
        assert_eq!(world.network.counts().accepted.load(SeqCst), 2);
    }
}

#[tokio::test]
async fn a_quiet_connection_that_answers_is_kept() {
    let silence = Duration::from_millis(50);
    let world = World::native(|native| native.asking_after(silence));
    let mut listener = resumed(&world.listens).await;
    // Answers to its questions come from Redis alone.
    let before = world.network.counts().to_client.load(SeqCst);
    tokio::select! {
        heard = listener.next() => panic!("{heard:?}"),
        () = crate::harness::listening::until(async || world.network.counts().to_client.load(SeqCst) > before + 100) => {}
    }
    assert_eq!(world.network.counts().accepted.load(SeqCst), 1);
    assert_eq!(world.publish(1).await, 1);
    assert_eq!(heard(&mut listener).await, json!(1));
}

#[tokio::test]
async fn a_flood_stays_where_it_is_until_somebody_hears_it() {
    for world in [World::native(|native| native), World::rest(|rest| rest)] {
        let mut listener = resumed(&world.listens).await;
        let channel = world.publishes.channel("changes");
        let (message, mut published) = (json!("x".repeat(60_000)), 0_u64);
        // More than the buffers of all kernels on the way hold; Redis gives a listener up that leaves 32 MiB.
        while publish(&world.publishes, &channel, &message).await == 1 && published < 200_000_000 {
            published += 60_000;
            tokio::task::yield_now().await;
        }
        let carried = world.network.counts().to_client.load(SeqCst);
        assert!(published > 30_000_000 && carried < published / 2, "{carried} of {published} bytes");
        while next(&mut listener).await != Heard::Resumed {}
        assert_eq!(world.publish(1).await, 1);
        assert_eq!(heard(&mut listener).await, json!(1));
    }
}

#[tokio::test]
async fn a_listener_says_who_it_is_and_without_a_password_hears_nothing() {
    let redis = RedisServer::start_with(&["--requirepass", "s3cret"]);
    let backend = |credentials: &str| {
        let url = format!("redis://{credentials}127.0.0.1:{}/3", redis.port());
        let backend = Arc::new(native(&url));
        over(backend.clone(), backend, "p")
    };
    let (knows, does_not) = (backend(":s3cret@"), backend(""));
    let mut listener = resumed(&knows).await;
    publish(&knows, &knows.channel("changes"), &json!(1)).await;
    assert_eq!(heard(&mut listener).await, json!(1));
    let mut deaf = does_not.listen(&does_not.channel("changes"));
    assert!(tokio::time::timeout(Duration::from_millis(500), deaf.next()).await.is_err());
    assert!(!deaf.is_connected());
}

#[tokio::test]
async fn what_is_no_subscription_over_rest_is_none() {
    /// More than the kernels on the way hold, twice.
    const FLOOD: usize = 128 * 1024 * 1024;
    let world = World::rest(|rest| rest);
    let confirmed = |channel: &str| format!("data: subscribe,{channel},1\n\n");
    for fault in [
        Fault::answer(401, "{\"error\":\"WRONGPASS\"}"),
        Fault::answer(400, "{\"error\":\"ERR Command is not available\"}"),
        Fault::answer(200, "{\"result\":\"OK\"}"),
        Fault::answer(200, confirmed("p:{_system:00}:other")),
        Fault::answer(200, "data: message,p:{_system:00}:changes,1\n\n"),
        Fault::Flood(FLOOD),
        Fault::HangUpBefore,
    ] {
        let before = world.network.counts().to_client.load(SeqCst);
        world.double.always(fault.clone());
        let mut listener = world.listens.listen(&world.listens.channel("changes"));
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while world.double.injected(&fault) < 2 {
                tokio::select! {
                    heard = listener.next() => panic!("{fault:?}: {heard:?}"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{fault:?}: it is not asked again"));
        assert!(!listener.is_connected());
        let carried = world.network.counts().to_client.load(SeqCst) - before;
        assert!(carried < FLOOD as u64 / 2, "{fault:?}: {carried} bytes");
        world.double.heal();
        world.resumes(&mut listener).await;
    }
}
