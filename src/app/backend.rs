//! The backend that the configuration asks for.

use super::same_database::SameDatabase;
use crate::base::clock::Clock;
use crate::base::id::NoRandomness;
use crate::config::{BackendSettings, Config};
use crate::db::transport::doors::Doors;
use crate::db::transport::layers::failover::Pace;
use crate::db::transport::layers::metrics::BackendMetrics;
use crate::db::transport::memory::Memory;
use crate::db::transport::native::{Native, UnusableSettings};
use crate::db::transport::rest::{Rest, RestError};
use crate::db::transport::stack::{Ground, OneWay};
use crate::db::transport::usage::Used;
use crate::db::transport::{RedisTransport, Subscriber, stack};
use crate::db::{BackendClock, Database, Outage};
use opentelemetry_sdk::trace::SdkTracer;
use std::sync::Arc;

/// Why the application cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The native backend's settings cannot be used.
    #[error("REDIS_URL {0}")]
    Native(#[from] UnusableSettings),
    /// There is no randomness to make a root key of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The REST backend's settings cannot be used.
    #[error("the REST backend: {0}")]
    Rest(#[from] RestError),
    /// What sends traces cannot be made; why, may hold what must not be shown.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS cannot be used")]
    Traces,
}

/// What was opened.
pub(super) struct Backend {
    pub(super) transport: Arc<dyn RedisTransport>,
    /// What hears what is published there.
    pub(super) subscriber: Arc<dyn Subscriber>,
    /// Where sessions are; the same, unless they stay in this process.
    pub(super) sessions: Arc<dyn RedisTransport>,
    /// The embedded backends among them, to be swept.
    pub(super) embedded: Vec<Arc<Memory>>,
    /// The ways to it.
    pub(super) doors: Doors,
    /// What tells how much of each way is in use, by its name.
    pub(super) used: Vec<(&'static str, Arc<dyn Used>)>,
    /// On while there is none.
    pub(super) outage: Outage,
    /// Whether two ways lead to the same database, to be found out.
    pub(super) same_database: Option<SameDatabase>,
}

pub(super) fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &BackendMetrics,
    tracer: Option<&SdkTracer>,
) -> Result<Backend, StartError> {
    let mut embedded = Vec::new();
    let mut memory = || {
        let backend = Arc::new(Memory::new(clock.clone()));
        embedded.push(backend.clone());
        (stack::memory(backend.clone(), metrics), backend)
    };
    let outage = Outage::default();
    let ground = Ground { metrics, clock, outage: &outage, prefix: &config.key_prefix };
    let mut same_database = None;
    let mut used = Vec::new();
    let mut one = |way: OneWay| {
        used.push((way.door.name(), way.used));
        (way.transport, way.subscriber, Doors::one(way.door))
    };
    let (transport, subscriber, doors) = match &config.backend {
        BackendSettings::Memory => {
            let (transport, backend) = memory();
            (transport, backend as Arc<dyn Subscriber>, Doors::none())
        }
        BackendSettings::Native(settings) => {
            one(stack::native(Native::new(settings.clone())?, settings.attempt, ground))
        }
        BackendSettings::Rest(settings) => one(stack::rest(Rest::new(settings)?, settings.command_timeout, ground)),
        BackendSettings::Both { native, rest, failback_after } => {
            let digest = native.digest()?;
            let native = (Native::new(native.clone())?, native.attempt);
            let rest = (Rest::new(rest)?, rest.command_timeout);
            let ways = stack::both(native, rest, Pace::new(*failback_after), ground);
            let database = |way: &OneWay| {
                Database::new(way.transport.clone(), &config.key_prefix, BackendClock::new(clock.clone())).system()
            };
            let both = [database(&ways.native), database(&ways.rest)];
            same_database = Some(SameDatabase::new(both, digest, ways.switch.clone()));
            used.extend([&ways.native, &ways.rest].map(|way| (way.door.name(), way.used.clone())));
            (ways.transport, ways.subscriber, Doors::two(ways.native.door, ways.rest.door, ways.switch))
        }
    };
    let is_embedded = matches!(config.backend, BackendSettings::Memory);
    let transport = stack::traced(transport, tracer);
    let apart = (config.sessions_in_memory && !is_embedded).then(|| stack::traced(memory().0, tracer));
    let sessions = apart.unwrap_or_else(|| transport.clone());
    Ok(Backend { transport, subscriber, sessions, embedded, doors, used, outage, same_database })
}
