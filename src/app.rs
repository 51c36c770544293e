//! The application put together: one backend, the capabilities over it, and the table of all endpoints.

mod backend;
mod backend_metrics;
mod cache_metrics;
mod families;
mod idempotency;
mod jobs;
mod monitor;
mod process_metrics;
mod request_limit;
mod same_database;
mod server_report;
mod stores;
mod tenant_deletion;
mod traces;
mod upkeep;

use crate::admin::{self, Arrived, BackupRetention, Diagnostician, Transfer};
use crate::base::clock::Clock;
use crate::base::deadline::Deadline;
use crate::config::{BackendSettings, Config};
use crate::db::transport::door::DOOR;
use crate::db::transport::doors::Doors;
use crate::db::transport::layers::metrics::BackendMetrics;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Family};
use crate::http::ports::Health;
use crate::http::server::{Draining, Site};
use crate::http::{self, Admission, Busiest, Endpoints, HttpMetrics, Platform, QuotaFields};
use crate::jobs::{Jobs, Runner};
use crate::stores::tokens::KeyChange;
use crate::tenancy::transfer::Families;
use crate::tenancy::{Registry, RegistrySettings, SteadyClock};
use crate::vault::{KeyRing, RootKeyId, Vault};
use actix_web::dev::Extensions;
use actix_web::web;
use idempotency::Records;
use monitor::{Monitor, StandIn};
use prometheus_client::registry::Registry as Metrics;
use request_limit::Limit;
use same_database::SameDatabase;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stores::{Ground, Stores};
use tenant_deletion::TenantDeletion;
use tokio::runtime::Handle;
use traces::Traces;

pub use backend::StartError;
pub use families::families;

/// How long the start waits for the backend. Without it the server starts all the same, and is not ready.
pub const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The families of keys that the application itself keeps.
pub const FAMILIES: &[&Family] = &[&DOOR];

/// A running application, shared by its workers.
#[derive(Clone)]
pub struct Application {
    config: Arc<Config>,
    database: Database,
    doors: Doors,
    same_database: Option<SameDatabase>,
    stores: Stores,
    embedded: Vec<Arc<Memory>>,
    registry: Arc<Registry>,
    vault: Vault,
    jobs: Jobs,
    runner: Arc<Runner>,
    monitor: Monitor,
    metrics: Arc<Metrics>,
    http_metrics: HttpMetrics,
    draining: Draining,
    admission: Arc<Admission>,
    request_limit: Option<Arc<Limit>>,
    traces: Option<Traces>,
}

impl Application {
    /// Builds everything, on a runtime that outlives the workers'; asks the backend nothing yet. Time is told by `clock`.
    ///
    /// # Errors
    /// When the backend's settings cannot be used.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let mut metrics = Metrics::default();
        let backend_metrics = BackendMetrics::register(&mut metrics);
        let http_metrics = HttpMetrics::register(&mut metrics);
        let mut admission = Admission::new(&config.platform, config.server.workers);
        let busiest = config.metrics_tenants.map(|most| Arc::new(Busiest::new(most)));
        if let Some(busiest) = &busiest {
            busiest.register(&mut metrics);
            admission = admission.counted_in(busiest.clone());
        }
        let admission = Arc::new(admission);
        admission.register(&mut metrics);
        process_metrics::register(&mut metrics);
        let traces = config.traces.as_ref().map(Traces::start).transpose().map_err(|_| StartError::Traces)?;
        let tracer = traces.as_ref().map(Traces::tracer);
        let backend = backend::open(&config, &clock, &backend_metrics, tracer.as_ref())?;
        let backend_clock = BackendClock::new(clock.clone());
        let database = Database::new(backend.transport, &config.key_prefix, backend_clock.clone());
        let database = database.heard_over(backend.subscriber);
        let sessions_in = Database::new(backend.sessions, &config.key_prefix, BackendClock::new(clock));
        // The embedded backend shares this process's clock; a Redis has its own, which the monitor asks for.
        let sessions_in = if config.sessions_in_memory { sessions_in } else { database.clone() };
        let steady = Arc::new(SteadyClock::start());
        let is_embedded = matches!(config.backend, BackendSettings::Memory);
        let mut ring = config.vault.clone();
        if ring.is_none() && is_embedded {
            ring = Some(KeyRing::random()?);
        }
        let vault = Vault::new(ring, database.system(), steady.clone());
        let mut databases = vec![database.clone()];
        // Sessions that stay in this process lie in the embedded backend, with everything else or alone.
        databases.extend((config.sessions_in_memory && !is_embedded).then(|| sessions_in.clone()));
        let stores = Stores::open(Ground {
            config: &config,
            database: &database,
            sessions_in,
            backend_clock,
            steady: steady.clone(),
            vault: vault.clone(),
            runtime: Handle::current(),
            outage: &backend.outage,
            metrics: &mut metrics,
        });
        let limit = || Arc::new(Limit::new(config.rate_limits, stores.guard.clone(), database.clone()));
        let registry = Registry::new(database.system(), steady, RegistrySettings::default());
        let registry = registry.recalling_in(backend.outage.clone());
        let stand_in = stores.standby.clone().map(|standby| StandIn { standby, registry: registry.clone() });
        let draining = Draining::default();
        let registry = Arc::new(registry);
        let jobs = Jobs::new(database.system());
        jobs.register(&mut metrics);
        cache_metrics::register(&mut metrics, registry.clone(), stores.live_flags.clone());
        let monitor = Monitor::new(
            database.clone(),
            (backend.doors.clone(), backend.outage),
            stand_in,
            draining.clone(),
            config.platform.request_timeout,
        );
        backend_metrics::register(&mut metrics, backend.doors.clone(), backend.used, monitor.report().clone());
        let (timeout, deletes) = (config.platform.request_timeout, registry.clone());
        let key_change = KeyChange { database: database.clone(), registry: registry.clone(), vault: vault.clone() };
        let deletion = TenantDeletion::new(deletes, vault.clone(), databases, stores.live_flags.clone(), timeout);
        let runner = jobs::runner(&jobs, deletion, key_change)?;
        Ok(Application {
            registry,
            monitor,
            request_limit: config.rate_limits.enabled.then(limit),
            config: Arc::new(config),
            database,
            doors: backend.doors,
            same_database: backend.same_database,
            embedded: backend.embedded.into_iter().chain([stores.guard.memory().clone()]).collect(),
            stores,
            vault,
            jobs,
            runner,
            metrics: Arc::new(metrics),
            http_metrics,
            draining,
            admission,
            traces,
        })
    }

    /// What moving tenants needs.
    fn transfer(&self) -> Transfer {
        let flags = self.stores.live_flags.clone();
        let arrived: Arrived = Arc::new(move |tenant| {
            let flags = flags.clone();
            Box::pin(async move { flags.changed(&tenant).await })
        });
        let families = families().into_iter().flat_map(|(_, families)| families.iter().copied()).collect();
        let (database, vault) = (self.database.clone(), self.vault.clone());
        Transfer { database, vault, families: Families(families), arrived }
    }

    /// Whoever looks at the backend closely.
    pub fn diagnostician(&self) -> Diagnostician {
        Diagnostician::new(self.database.system(), self.doors.clone())
    }

    /// Whether both ways lead to one database, where there are two; nothing where that could not be found out.
    pub async fn ways_lead_to_one_database(&self) -> Option<bool> {
        self.same_database.as_ref()?.are_one().await
    }

    /// Tenants and keys.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is wrong with the root keys, where data keys need one that this process does not have and the backend can be
    /// asked: to serve without it would be to refuse secrets that other servers show.
    pub async fn lacks_root_keys(&self) -> Option<String> {
        self.vault.ring()?;
        let missing = self.vault.missing_roots(Deadline::after(Instant::now(), FIRST_LOOK)).await.ok()?;
        let named = |(id, count): &(RootKeyId, u64)| format!("{id} ({count} data keys are wrapped under it)");
        let named: Vec<String> = missing.iter().map(named).collect();
        (!named.is_empty())
            .then(|| format!("TOKEN_ENCRYPTION_KEYS_PREVIOUS: lacks a root key that is in use: {}", named.join(", ")))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tells the application that it is about to stop.
    pub fn draining(&self) -> &Draining {
        &self.draining
    }

    /// Starts what goes on in the background, on this thread's runtime: watching the backend, finding out
    /// whether two ways lead to one database, standing in for the backend where that is wanted, doing jobs, and
    /// clearing what has ended.
    pub fn start_background(&self) {
        if let Some(standby) = &self.stores.standby {
            tokio::spawn(standby.clone().follow());
        }
        tokio::spawn(self.monitor.clone().watch());
        if let Some(same_database) = self.same_database.clone() {
            tokio::spawn(same_database.find_out());
        }
        tokio::spawn(self.stores.live_flags.clone().follow());
        let runner = self.runner.clone();
        tokio::spawn(async move { runner.run().await });
        tokio::spawn(upkeep::run(
            self.stores.sessions_upkeep.clone(),
            self.stores.expiring_tokens.clone(),
            self.embedded.clone(),
            self.config.sessions.cleanup_interval,
        ));
    }

    /// Asks the backend how it is, and for its time.
    pub async fn look_at_backend(&self) -> bool {
        self.monitor.backend().await.serves
    }

    /// After the last answer: lets what only this process knows reach the backend, if it can in this time.
    pub async fn finish(&self, patience: Duration) {
        let refreshed = tokio::time::timeout(patience, self.stores.tokens.finish());
        let handed_over = async {
            if let Some(standby) = &self.stores.standby {
                standby.finish(patience).await;
            }
        };
        let counted = tokio::time::timeout(patience, self.stores.live_flags.flush());
        let (refreshed, (), counted) = tokio::join!(refreshed, handed_over, counted);
        if let Some(traces) = self.traces.clone() {
            traces.finish(patience).await;
        }
        if counted.is_err() {
            tracing::warn!("evaluations of flags were still being counted when the server ended");
        }
        if refreshed.is_err() {
            tracing::warn!("a token was still being refreshed when the server ended");
        }
    }

    fn capabilities(&self) -> Endpoints {
        let health =
            http::health(Arc::new(self.monitor.clone()), self.metrics.clone(), self.config.metrics_token.clone());
        table(self.config.platform.admin_key.is_some()).and(health)
    }
}

/// The whole table, for those who describe it rather than serve it.
pub fn described() -> Endpoints {
    let nothing = Arc::new(monitor::Nothing);
    table(true).and(http::health(nothing, Arc::new(Metrics::default()), None))
}

fn table(with_admin: bool) -> Endpoints {
    let tenants = stores::endpoints();
    if with_admin { tenants.and(admin::endpoints()).and(stores::admin_endpoints()) } else { tenants }
}

impl Site for Application {
    fn endpoints(&self) -> Endpoints {
        let capabilities = self.capabilities();
        let documentation = http::documentation(&capabilities);
        capabilities.and(documentation)
    }

    fn platform(&self) -> Platform {
        let records = Arc::new(Records::new(self.database.clone()));
        let platform = Platform::new(
            self.config.platform.clone(),
            self.registry.clone(),
            records,
            self.http_metrics.clone(),
            self.draining.clone(),
            self.admission.clone(),
        );
        let platform = platform.providing(self.provided()).traced_by(self.traces.as_ref().map(Traces::tracer));
        match self.request_limit.clone() {
            Some(limit) => platform.limited_by(limit, QuotaFields { legacy: self.config.rate_limits.legacy_headers }),
            None => platform,
        }
    }
}

impl Application {
    /// For the handlers.
    fn provided(&self) -> Extensions {
        let mut provided = Extensions::new();
        self.stores.provide(&mut provided);
        provided.insert(web::Data::new(self.config.trusted_proxies.clone()));
        provided.insert(web::Data::new(self.diagnostician()));
        provided.insert(web::Data::new(self.transfer()));
        provided.insert(web::Data::new(self.vault.clone()));
        provided.insert(web::Data::new(self.jobs.clone()));
        provided.insert(web::Data::new(BackupRetention(self.config.backup_retention)));
        provided
    }
}
