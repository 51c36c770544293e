//! The application put together: one backend, the capabilities over it, and the table of all endpoints.

mod backend;
mod idempotency;
mod monitor;
mod request_limit;
mod same_database;
mod upkeep;

use crate::admin;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::db::transport::door::DOOR;
use crate::db::transport::doors::Doors;
use crate::db::transport::layers::metrics::BackendMetrics;
use crate::db::{BackendClock, Database, Family};
use crate::http::ports::Health;
use crate::http::server::{Draining, Site};
use crate::http::{self, Admission, Endpoints, HttpMetrics, Platform, QuotaFields};
use crate::stores::breakers::{Transitions, routes as breakers};
use crate::stores::rate_limits::policies::PolicyMemory;
use crate::stores::rate_limits::{Guard, routes as rate_limits};
use crate::stores::sessions::standby::{Bounds, Standby};
use crate::stores::sessions::{SessionFallback, Upkeep, routes as sessions};
use crate::tenancy::{Registry, RegistrySettings, SteadyClock};
use actix_web::web;
use idempotency::Records;
use monitor::{Monitor, StandIn};
use prometheus_client::registry::Registry as Metrics;
use request_limit::Limit;
use same_database::SameDatabase;
use std::sync::Arc;
use std::time::Duration;

pub use backend::StartError;

/// The families of keys that the application itself keeps.
pub const FAMILIES: &[&Family] = &[&DOOR];

/// A running application, shared by its workers.
#[derive(Clone)]
pub struct Application {
    config: Arc<Config>,
    database: Database,
    doors: Doors,
    same_database: Option<SameDatabase>,
    sessions: web::Data<sessions::OpenSessions>,
    rate_limits: web::Data<rate_limits::OpenRateLimits>,
    sessions_upkeep: Arc<Upkeep>,
    breakers: web::Data<breakers::OpenBreakers>,
    standby: Option<Arc<Standby>>,
    embedded: Vec<Arc<crate::db::transport::memory::Memory>>,
    registry: Arc<Registry>,
    monitor: Monitor,
    metrics: Arc<Metrics>,
    http_metrics: HttpMetrics,
    draining: Draining,
    admission: Arc<Admission>,
    request_limit: Option<Arc<Limit>>,
}

impl Application {
    /// Builds everything; asks the backend nothing yet. Time is told by `clock`.
    ///
    /// # Errors
    /// When the backend's settings cannot be used.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let mut metrics = Metrics::default();
        let backend_metrics = BackendMetrics::register(&mut metrics);
        let http_metrics = HttpMetrics::register(&mut metrics);
        let admission = Arc::new(Admission::new(&config.platform, config.server.workers));
        admission.register(&mut metrics);
        let mut backend = backend::open(&config, &clock, &backend_metrics)?;
        let outage = backend.outage.clone();
        let steady = Arc::new(SteadyClock::start());
        let guard = Arc::new(Guard::new(config.rate_limits.fail, outage.clone(), steady.clone()));
        guard.register(&mut metrics);
        backend.embedded.push(guard.memory().clone());
        let backend_clock = BackendClock::new(clock.clone());
        let database = Database::new(backend.transport, &config.key_prefix, backend_clock.clone());
        let limit = || Arc::new(Limit::new(config.rate_limits, guard.clone(), database.clone()));
        let request_limit = config.rate_limits.enabled.then(limit);
        let sessions_in = Database::new(backend.sessions, &config.key_prefix, BackendClock::new(clock));
        // The embedded backend shares this process's clock; a Redis has its own, which the monitor asks for.
        let sessions_in = if config.sessions_in_memory { sessions_in } else { database.clone() };
        let sessions_upkeep = Arc::new(Upkeep::default());
        upkeep::register(&mut metrics, &sessions_upkeep);
        let settings = config.sessions.clone();
        let policies = Arc::new(PolicyMemory::new(steady.clone()));
        let fields = QuotaFields { legacy: config.rate_limits.legacy_headers };
        let rate_limits = rate_limits::OpenRateLimits::new(database.clone(), guard, policies, fields);
        let registry =
            Registry::new(database.system(), steady, RegistrySettings::default()).recalling_in(outage.clone());
        let standby = match config.session_fallback {
            SessionFallback::None => None,
            SessionFallback::Memory => {
                let (sessions_in, upkeep) = (sessions_in.clone(), sessions_upkeep.clone());
                let bounds = Bounds::default();
                Some(Standby::new(outage, sessions_in, backend_clock, settings.clone(), upkeep, bounds))
            }
        };
        let open = sessions::OpenSessions::new(sessions_in, settings, sessions_upkeep.clone(), standby.clone());
        let transitions = Arc::new(Transitions::default());
        transitions.register(&mut metrics);
        let breakers = breakers::OpenBreakers::new(database.clone(), config.breakers.clone(), transitions);
        let stand_in = standby.clone().map(|standby| StandIn { standby, registry: registry.clone() });
        let draining = Draining::default();
        Ok(Application {
            registry: Arc::new(registry),
            monitor: Monitor::new(
                database.clone(),
                (backend.doors.clone(), backend.outage),
                stand_in,
                draining.clone(),
                config.platform.request_timeout,
            ),
            config: Arc::new(config),
            database,
            doors: backend.doors,
            same_database: backend.same_database,
            sessions: web::Data::new(open),
            rate_limits: web::Data::new(rate_limits),
            sessions_upkeep,
            breakers: web::Data::new(breakers),
            standby,
            embedded: backend.embedded,
            metrics: Arc::new(metrics),
            http_metrics,
            draining,
            admission,
            request_limit,
        })
    }

    /// Tenants and keys.
    pub fn registry(&self) -> &Registry {
        &self.registry
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
    /// whether two ways lead to one database, standing in for the backend where that is wanted, and clearing
    /// what has ended.
    pub fn start_background(&self) {
        if let Some(standby) = &self.standby {
            tokio::spawn(standby.clone().follow());
        }
        tokio::spawn(self.monitor.clone().watch());
        if let Some(same_database) = self.same_database.clone() {
            tokio::spawn(same_database.find_out());
        }
        tokio::spawn(upkeep::run(
            self.sessions_upkeep.clone(),
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
        if let Some(standby) = &self.standby {
            standby.finish(patience).await;
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

/// The endpoints of all slices. A new store adds its line here.
fn table(with_admin: bool) -> Endpoints {
    let stores = sessions::endpoints().and(breakers::endpoints()).and(rate_limits::endpoints());
    if with_admin { stores.and(admin::endpoints()) } else { stores }
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
        match self.request_limit.clone() {
            Some(limit) => platform.limited_by(limit, QuotaFields { legacy: self.config.rate_limits.legacy_headers }),
            None => platform,
        }
    }

    fn provide(&self, config: &mut web::ServiceConfig) {
        let proxies = web::Data::new(self.config.trusted_proxies.clone());
        let doors = web::Data::new(self.doors.clone());
        config.app_data(self.sessions.clone()).app_data(self.breakers.clone()).app_data(self.rate_limits.clone());
        config.app_data(proxies).app_data(doors);
    }
}
