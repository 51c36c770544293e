//! The backend that the configuration asks for.

use crate::base::clock::Clock;
use crate::config::{BackendSettings, Config};
use crate::db::transport::layers::metrics::BackendMetrics;
use crate::db::transport::memory::Memory;
use crate::db::transport::native::{Native, UnusableSettings};
use crate::db::transport::rest::{Rest, RestError};
use crate::db::transport::{RedisTransport, stack};
use std::sync::Arc;

/// Why the application cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The native backend's settings cannot be used.
    #[error("REDIS_URL {0}")]
    Native(#[from] UnusableSettings),
    /// The REST backend's settings cannot be used.
    #[error("the REST backend: {0}")]
    Rest(#[from] RestError),
}

/// What was opened.
pub(super) struct Backend {
    pub(super) transport: Arc<dyn RedisTransport>,
    /// Where sessions are; the same, unless they stay in this process.
    pub(super) sessions: Arc<dyn RedisTransport>,
    /// The embedded backends among them, to be swept.
    pub(super) embedded: Vec<Arc<Memory>>,
    /// `memory`, `native` or `rest`.
    pub(super) name: &'static str,
}

pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>, metrics: &BackendMetrics) -> Result<Backend, StartError> {
    let mut embedded = Vec::new();
    let mut memory = || {
        let backend = Arc::new(Memory::new(clock.clone()));
        embedded.push(backend.clone());
        stack::memory(backend, metrics)
    };
    let (name, transport) = match &config.backend {
        BackendSettings::Memory => ("memory", memory()),
        BackendSettings::Native(settings, attempt) => {
            ("native", stack::native(Native::new(settings.clone())?, *attempt, metrics))
        }
        BackendSettings::Rest(settings, attempt) => ("rest", stack::rest(Rest::new(settings)?, *attempt, metrics)),
    };
    let own = config.sessions_in_memory && name != "memory";
    let sessions = if own { memory() } else { transport.clone() };
    Ok(Backend { transport, sessions, embedded, name })
}
