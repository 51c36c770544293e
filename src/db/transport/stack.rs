//! The order of the layers, written here and nowhere else. Outermost first:
//!
//! ```text
//! Metrics("store")      what the stores feel, retries included
//! Retry                 judges each caller's own batch, before batches are merged
//! Metrics("native")     what the network does
//! Timeout               inside Retry: each attempt has its own time
//! Native
//! ```
//!
//! Over REST, `Pipelining` stands between `Timeout` and `Rest`: a merged request is late for each of its
//! callers, and gives none of them more time than its own. Breaker and failover belong between `Retry` and
//! the measured backends: an open breaker is "not sent", so that even an increment may take the other door.

use super::RedisTransport;
use super::layers::metrics::{BackendMetrics, Metrics};
use super::layers::pipelining::{IN_FLIGHT, Pipelining};
use super::layers::retry::Retry;
use super::layers::timeout::Timeout;
use super::memory::Memory;
use super::native::Native;
use super::rest::Rest;
use std::sync::Arc;
use std::time::Duration;

/// The embedded backend. It cannot be late and need not be asked twice.
pub fn memory(backend: Arc<Memory>, metrics: &BackendMetrics) -> Arc<dyn RedisTransport> {
    Arc::new(Metrics::new(backend, "store", metrics))
}

/// Redis over its own protocol.
pub fn native(backend: Native, attempt: Duration, metrics: &BackendMetrics) -> Arc<dyn RedisTransport> {
    let measured = Metrics::new(Timeout::new(backend, attempt), "native", metrics);
    Arc::new(Metrics::new(Retry::new(measured), "store", metrics))
}

/// A database behind the Upstash REST API. To be called on the runtime that outlives the others: merged
/// requests run there.
pub fn rest(backend: Rest, attempt: Duration, metrics: &BackendMetrics) -> Arc<dyn RedisTransport> {
    let merged = Pipelining::new(Arc::new(Metrics::new(backend, "rest", metrics)), IN_FLIGHT);
    Arc::new(Metrics::new(Retry::new(Timeout::new(merged, attempt)), "store", metrics))
}
