//! Counts what passes: round trips by what they say and how they end, how long they took, and the commands in them.
//! Handles are made when they are first needed: a call looks nothing up and takes no lock.

use super::kinds::{Kind, Outcome};
use crate::base::histogram::Histogram;
use crate::db::command::Batch;
use crate::db::transport::{Execution, RedisTransport};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::OnceLock;
use std::time::Instant;

/// Round trips on one machine to a slow one across the world, in seconds. Those from a millisecond on are of the
/// semantic convention for `db.client.operation.duration`.
const BUCKETS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Commands that travel together.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

type DoorLabel = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 3];

/// The metrics of all layers, registered once.
#[derive(Clone)]
pub struct BackendMetrics {
    trips: Family<Labels, Histogram, fn() -> Histogram>,
    commands: Family<Labels, Counter>,
    sizes: Family<DoorLabel, Histogram, fn() -> Histogram>,
    open: Family<DoorLabel, Gauge>,
    switches: Family<DoorLabel, Counter>,
}

impl BackendMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = BackendMetrics {
            trips: Family::new_with_constructor(|| Histogram::of_seconds(BUCKETS)),
            commands: Family::default(),
            sizes: Family::new_with_constructor(|| Histogram::of_counts(SIZES)),
            open: Family::default(),
            switches: Family::default(),
        };
        let help = "Time of one call to the backend, which is a round trip at `native` and `rest`; `store` is what the stores feel, retries included";
        registry.register_with_unit("db_client_operation_duration", help, Unit::Seconds, metrics.trips.clone());
        let registry = registry.sub_registry_with_prefix("agentapi_backend");
        registry.register("commands", "Commands in calls to the backend, by how each ended", metrics.commands.clone());
        registry.register("batch_size", "Commands of one call to the backend", metrics.sizes.clone());
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

/// A handle for each kind and outcome.
type Table<T> = [[OnceLock<T>; Outcome::COUNT]; Kind::COUNT];

/// Measures what its inner transport does, under a name of its own.
pub struct Metrics<T> {
    inner: T,
    door: &'static str,
    all: BackendMetrics,
    sizes: Histogram,
    trips: Table<Histogram>,
    commands: Table<Counter>,
}

impl<T: RedisTransport> Metrics<T> {
    /// `inner`, measured as `door`.
    pub fn new(inner: T, door: &'static str, metrics: &BackendMetrics) -> Self {
        Metrics {
            inner,
            door,
            all: metrics.clone(),
            sizes: metrics.sizes.get_or_create_owned(&[("door", door)]),
            trips: Default::default(),
            commands: Default::default(),
        }
    }

    fn labels(&self, kind: Kind, outcome: Outcome) -> Labels {
        [("door", self.door), ("db_operation_name", kind.word()), ("outcome", outcome.word())]
    }

    fn trip(&self, kind: Kind, outcome: Outcome) -> Option<&Histogram> {
        let cell = self.trips.get(kind as usize)?.get(outcome as usize)?;
        Some(cell.get_or_init(|| self.all.trips.get_or_create_owned(&self.labels(kind, outcome))))
    }

    fn command(&self, kind: Kind, outcome: Outcome) -> Option<&Counter> {
        let cell = self.commands.get(kind as usize)?.get(outcome as usize)?;
        Some(cell.get_or_init(|| self.all.commands.get_or_create_owned(&self.labels(kind, outcome))))
    }
}

impl<T: RedisTransport> RedisTransport for Metrics<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let start = Instant::now();
            let outcome = self.inner.execute(batch).await;
            let elapsed = start.elapsed();
            let of_batch = Outcome::of(&outcome);
            if let Some(trip) = self.trip(Kind::of_batch(batch), of_batch) {
                trip.time(elapsed);
            }
            self.sizes.count(batch.commands().len());
            for (place, command) in batch.commands().iter().enumerate() {
                let reply = outcome.as_ref().ok().and_then(|replies| replies.get(place));
                let ended = reply.map_or(of_batch, Outcome::of_reply);
                if let Some(count) = self.command(Kind::of(command), ended) {
                    count.inc();
                }
            }
            outcome
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Command, Delivery, Effect, Error, ErrorKind, Refusal, Reply};
    use futures_util::FutureExt;

    /// Answers what it is made to answer.
    struct Says(Result<Vec<Reply>, Error>);

    impl RedisTransport for Says {
        fn execute<'a>(&'a self, _: &'a Batch) -> Execution<'a> {
            Box::pin(async { self.0.clone() })
        }
    }

    /// What is shown after these commands were answered so.
    fn shown(words: &[&'static str], answer: Result<Vec<Reply>, Error>, is_atomic: bool) -> String {
        let mut registry = Registry::default();
        let measured = Metrics::new(Says(answer), "native", &BackendMetrics::register(&mut registry));
        let commands = words.iter().map(|word| Command::raw(Effect::Read, [*word, "key-canary"])).collect();
        let batch = if is_atomic { Batch::atomic(commands) } else { Batch::pipeline(commands) };
        drop(measured.execute(&batch).now_or_never().unwrap());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(!text.contains("canary"), "{text}");
        text
    }

    fn has(text: &str, name: &str, kind: &str, outcome: &str, value: u64) {
        let line = format!("{name}{{door=\"native\",db_operation_name=\"{kind}\",outcome=\"{outcome}\"}} {value}\n");
        assert!(text.contains(&line), "no {line} in\n{text}");
    }

    #[test]
    fn a_call_is_counted_once_and_each_of_its_commands_by_how_it_ended() {
        let refused = Reply::Refused(Refusal::from_line("WRONGTYPE x"));
        let answer = Ok(vec![Reply::Nil, Reply::Int(1), refused, Reply::Nil]);
        let text = shown(&["GET", "HSET", "hget", "GET"], answer, false);
        has(&text, "db_client_operation_duration_seconds_count", "pipeline", "refused", 1);
        assert_eq!(text.matches("db_client_operation_duration_seconds_count{").count(), 1);
        has(&text, "agentapi_backend_commands_total", "get", "ok", 2);
        has(&text, "agentapi_backend_commands_total", "hash", "ok", 1);
        has(&text, "agentapi_backend_commands_total", "hash", "refused", 1);
        assert!(text.contains("agentapi_backend_batch_size_sum{door=\"native\"} 4.0\n"), "{text}");
    }

    #[test]
    fn what_failed_is_counted_by_how_and_words_that_are_not_known_share_a_series() {
        let error = |kind| Err(Error::new(kind, Delivery::Unknown));
        let text = shown(&["EVALSHA", "GET"], error(ErrorKind::TimedOut), true);
        has(&text, "db_client_operation_duration_seconds_count", "transaction", "timed_out", 1);
        has(&text, "agentapi_backend_commands_total", "script", "timed_out", 1);
        let text = shown(&["CANARY"], error(ErrorKind::Full), false);
        has(&text, "db_client_operation_duration_seconds_count", "other", "refused", 1);
        let text = shown(&["ZADD"], error(ErrorKind::Protocol("canary")), false);
        has(&text, "agentapi_backend_commands_total", "sorted_set", "failed", 1);
    }
}
