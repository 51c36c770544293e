//! Counts what passes: calls, commands, failures and how long they took.

use crate::db::command::Batch;
use crate::db::error::ErrorKind;
use crate::db::transport::{Execution, RedisTransport};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Instant;

/// Round trips on one machine to a slow one across the world, in seconds.
const BUCKETS: [f64; 11] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0];

type Labels = [(&'static str, &'static str); 1];

/// The metrics of all layers, registered once.
pub struct BackendMetrics {
    calls: Family<Labels, Histogram, fn() -> Histogram>,
    commands: Family<Labels, Counter>,
    timeouts: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    open: Family<Labels, Gauge>,
    switches: Family<Labels, Counter>,
}

impl BackendMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("agentapi_backend");
        let metrics = BackendMetrics {
            calls: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            commands: Family::default(),
            timeouts: Family::default(),
            failures: Family::default(),
            open: Family::default(),
            switches: Family::default(),
        };
        registry.register_with_unit("call_duration", "Time of one call", Unit::Seconds, metrics.calls.clone());
        registry.register("commands", "Commands in those calls", metrics.commands.clone());
        registry.register("timeouts", "Calls that had no answer in time", metrics.timeouts.clone());
        registry.register("failures", "Calls that failed otherwise", metrics.failures.clone());
        let open = "1 while a way to the backend is shut and its breaker open, else 0";
        registry.register("breaker_open", open, metrics.open.clone());
        registry.register("switches", "Changes of the way in use, by the new one", metrics.switches.clone());
        metrics
    }

    /// Whether the breaker of the door of this name is open.
    pub fn open(&self, door: &'static str) -> Gauge {
        self.open.get_or_create_owned(&[("door", door)])
    }

    /// How often the door of this name was taken in place of the other.
    pub fn switches_to(&self, door: &'static str) -> Counter {
        self.switches.get_or_create_owned(&[("door", door)])
    }
}

/// Measures what its inner transport does, under a name of its own.
pub struct Metrics<T> {
    inner: T,
    calls: Histogram,
    commands: Counter,
    timeouts: Counter,
    failures: Counter,
}

impl<T: RedisTransport> Metrics<T> {
    /// `inner`, measured as `layer`.
    pub fn new(inner: T, layer: &'static str, metrics: &BackendMetrics) -> Self {
        let labels = [("layer", layer)];
        Metrics {
            inner,
            calls: metrics.calls.get_or_create_owned(&labels),
            commands: metrics.commands.get_or_create_owned(&labels),
            timeouts: metrics.timeouts.get_or_create_owned(&labels),
            failures: metrics.failures.get_or_create_owned(&labels),
        }
    }
}

impl<T: RedisTransport> RedisTransport for Metrics<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let start = Instant::now();
            let outcome = self.inner.execute(batch).await;
            self.calls.observe(start.elapsed().as_secs_f64());
            self.commands.inc_by(batch.commands().len() as u64);
            match &outcome {
                Ok(_) => {}
                Err(error) if error.kind == ErrorKind::TimedOut => drop(self.timeouts.inc()),
                Err(_) => drop(self.failures.inc()),
            }
            outcome
        })
    }
}
