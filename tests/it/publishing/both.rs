//! Two ways to one database: what is published is heard natively, and over REST while that cannot be.

use super::natively;
use crate::harness::backend::rest;
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::listening::{heard, next, over, publish, resumed};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use agentapi::base::clock::{Clock, SystemClock};
use agentapi::db::transport::layers::failover::{Pace, Proof, Switch};
use agentapi::db::transport::layers::metrics::BackendMetrics;
use agentapi::db::transport::stack::{self, Ground};
use agentapi::db::{Heard, Outage, SystemDb};
use prometheus_client::registry::Registry;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

struct World {
    _redis: RedisServer,
    double: RestDouble,
    network: ChaosProxy,
    switch: Arc<Switch>,
    /// Publishes over the way in use, and listens over either.
    system: SystemDb,
}

impl World {
    fn new(proof: Proof) -> World {
        let redis = RedisServer::start();
        let (double, network) = (RestDouble::start(redis.port(), "token"), ChaosProxy::before(redis.port()));
        let (metrics, outage) = (BackendMetrics::register(&mut Registry::default()), Outage::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ground = Ground { metrics: &metrics, clock: &clock, outage: &outage, prefix: "p" };
        let attempt = Duration::from_secs(5);
        let pace = Pace { failback_after: Duration::from_millis(200), between_switches: Duration::from_millis(100) };
        let ways = stack::both((natively(&network), attempt), (rest(&double.url(), "token"), attempt), pace, ground);
        ways.switch.learn(proof);
        let system = over(ways.transport, ways.subscriber, "p");
        World { _redis: redis, double, network, switch: ways.switch, system }
    }

    fn subscriptions_over_rest(&self) -> usize {
        self.double.seen().iter().filter(|seen| seen.commands == ["SUBSCRIBE"]).count()
    }

    /// Takes the native way away, or gives it back.
    fn block(&self, is_blocked: bool) {
        self.network.set(if is_blocked { Mode::Refuse } else { Mode::Pass });
        self.network.reset();
    }
}

#[tokio::test]
async fn rest_stands_in_for_the_native_way_until_that_is_back() {
    let world = World::new(Proof::Same);
    let mut listener = resumed(&world.system).await;
    assert_eq!(world.subscriptions_over_rest(), 0);
    world.block(true);
    assert_eq!(next(&mut listener).await, Heard::Resumed);
    assert_eq!(world.subscriptions_over_rest(), 1);
    // Which way it is published does not matter, so this one goes past the broken network.
    let aside = Arc::new(rest(&world.double.url(), "token"));
    let aside = over(aside.clone(), aside, "p");
    assert_eq!(publish(&aside, &aside.channel("changes"), &json!("over REST")).await, 1);
    assert_eq!(heard(&mut listener).await, json!("over REST"));
    world.block(false);
    assert_eq!(next(&mut listener).await, Heard::Resumed);
    assert_eq!((world.subscriptions_over_rest(), world.network.open() >= 1), (1, true));
    assert!(publish(&aside, &aside.channel("changes"), &json!("natively")).await >= 1);
    assert_eq!(heard(&mut listener).await, json!("natively"));
    assert_eq!(world.switch.proof(), Proof::Same);
}

#[tokio::test]
async fn without_proof_that_both_lead_to_one_database_nothing_is_heard_over_rest() {
    for proof in [Proof::None, Proof::Different] {
        let world = World::new(proof);
        world.block(true);
        let mut listener = world.system.listen(&world.system.channel("changes"));
        assert!(tokio::time::timeout(Duration::from_millis(700), listener.next()).await.is_err());
        assert_eq!(world.subscriptions_over_rest(), 0);
        world.block(false);
        assert_eq!(next(&mut listener).await, Heard::Resumed);
        assert_eq!(publish(&world.system, &world.system.channel("changes"), &json!(1)).await, 1);
        assert_eq!(heard(&mut listener).await, json!(1));
    }
}
