//! The order of the layers, written here and nowhere else. Outermost first:
//!
//! ```text
//! Spans                 where requests are traced: one for each call, retries included
//! Metrics("store")      what the stores feel, retries included
//! Retry                 judges each caller's own batch, before batches are merged
//! Failover              where there are two ways: takes the one that is open
//!  |- Breaker           inside Failover: what it refuses was not sent, so that even an increment may go the other way
//!  |  Metrics("native") what the network does
//!  |  Timeout           inside Retry: each attempt has its own time
//!  |  Native
//!  '- Breaker
//!     Timeout           a merged request is late for each of its callers, and gives none of them more than its own time
//!     Pipelining
//!     Metrics("rest")
//!     Rest
//! ```
//!
//! What is published is heard past all of these, for they are about calls: over a backend itself, or over either.

use super::door::{DOOR, Door};
use super::layers::breaker::Breaker;
use super::layers::either_way::EitherWay;
use super::layers::failover::{Failover, Pace, Switch};
use super::layers::metrics::{BackendMetrics, Metrics};
use super::layers::pipelining::{IN_FLIGHT, Pipelining};
use super::layers::retry::Retry;
use super::layers::spans::Spans;
use super::layers::timeout::Timeout;
use super::memory::Memory;
use super::native::Native;
use super::rest::Rest;
use super::usage::Used;
use super::{RedisTransport, Subscriber};
use crate::base::clock::Clock;
use crate::db::command::{Batch, Command};
use crate::db::{Outage, database};
use opentelemetry_sdk::trace::SdkTracer;
use std::sync::Arc;
use std::time::Duration;

/// What every stack over a network is built with.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// Where it counts.
    pub metrics: &'a BackendMetrics,
    /// What tells when something happened.
    pub clock: &'a Arc<dyn Clock>,
    /// What is on while there is no way to the backend.
    pub outage: &'a Outage,
    /// What its keys start with.
    pub prefix: &'a str,
}

/// A stack with one way to the backend.
pub struct OneWay {
    /// What carries batches.
    pub transport: Arc<dyn RedisTransport>,
    /// What hears what is published.
    pub subscriber: Arc<dyn Subscriber>,
    /// The way.
    pub door: Arc<Door>,
    /// What tells how much of it is in use.
    pub used: Arc<dyn Used>,
}

/// A stack with two.
pub struct TwoWays {
    /// What carries batches, whichever way.
    pub transport: Arc<dyn RedisTransport>,
    /// What hears what is published, whichever way.
    pub subscriber: Arc<dyn Subscriber>,
    /// The native way, and nothing else.
    pub native: OneWay,
    /// REST, and nothing else.
    pub rest: OneWay,
    /// What decides between them.
    pub switch: Arc<Switch>,
}

/// The embedded backend. It cannot be late and need not be asked twice.
pub fn memory(backend: Arc<Memory>, metrics: &BackendMetrics) -> Arc<dyn RedisTransport> {
    Arc::new(Metrics::new(backend, "store", metrics))
}

/// The same with spans, where there is what makes them.
pub fn traced(transport: Arc<dyn RedisTransport>, tracer: Option<&SdkTracer>) -> Arc<dyn RedisTransport> {
    match tracer {
        Some(tracer) => Arc::new(Spans::new(transport, tracer.clone())),
        None => transport,
    }
}

/// Redis over its own protocol. To be called, like those that follow, on the runtime that outlives the others:
/// probes and merged requests run there.
pub fn native(backend: Native, attempt: Duration, ground: Ground<'_>) -> OneWay {
    ground.alone(native_way(backend, attempt, ground, Some(ground.outage)))
}

/// A database behind the Upstash REST API.
pub fn rest(backend: Rest, attempt: Duration, ground: Ground<'_>) -> OneWay {
    ground.alone(rest_way(backend, attempt, ground, Some(ground.outage)))
}

/// One database over both, each with the time that an attempt may take.
pub fn both(native: (Native, Duration), rest: (Rest, Duration), pace: Pace, ground: Ground<'_>) -> TwoWays {
    let native = native_way(native.0, native.1, ground, None);
    let rest = rest_way(rest.0, rest.1, ground, None);
    let doors = [native.door.clone(), rest.door.clone()];
    let counters = doors.each_ref().map(|door| ground.metrics.switches_to(door.name()));
    let switch = Arc::new(Switch::new(doors, pace, ground.clock.clone(), ground.outage.clone(), counters));
    let failover = Failover::new(native.transport.clone(), rest.transport.clone(), switch.clone());
    let heard = EitherWay::new(native.subscriber.clone(), rest.subscriber.clone(), switch.clone());
    TwoWays { transport: ground.judged(failover), subscriber: Arc::new(heard), native, rest, switch }
}

fn native_way(backend: Native, attempt: Duration, ground: Ground<'_>, outage: Option<&Outage>) -> OneWay {
    let backend = Arc::new(backend);
    let measured = Metrics::new(Timeout::new(backend.clone(), attempt), "native", ground.metrics);
    ground.behind_door("native", measured, (backend.clone(), backend), outage)
}

fn rest_way(backend: Rest, attempt: Duration, ground: Ground<'_>, outage: Option<&Outage>) -> OneWay {
    let backend = Arc::new(backend);
    let merged = Pipelining::new(Arc::new(Metrics::new(backend.clone(), "rest", ground.metrics)), IN_FLIGHT);
    ground.behind_door("rest", Timeout::new(merged, attempt), (backend.clone(), backend), outage)
}

impl Ground<'_> {
    fn behind_door(
        self,
        name: &'static str,
        inner: impl RedisTransport,
        (subscriber, used): (Arc<dyn Subscriber>, Arc<dyn Used>),
        outage: Option<&Outage>,
    ) -> OneWay {
        let door = Arc::new(Door::new(name, self.clock.clone(), outage.cloned(), self.metrics.open(name)));
        let probe = Command::get(&database::system_key(self.prefix, &DOOR, &["probe"]));
        let transport = Arc::new(Breaker::new(inner, door.clone(), Batch::one(probe)));
        OneWay { transport, subscriber, door, used }
    }

    fn alone(self, way: OneWay) -> OneWay {
        OneWay { transport: self.judged(way.transport), ..way }
    }

    fn judged(self, inner: impl RedisTransport) -> Arc<dyn RedisTransport> {
        Arc::new(Metrics::new(Retry::new(inner), "store", self.metrics))
    }
}
