//! The capabilities over one backend: what opens the store of each, and the table of their endpoints. A new one adds
//! its lines here.

use crate::config::Config;
use crate::db::{BackendClock, Database, Outage};
use crate::http::{Endpoints, QuotaFields};
use crate::outbound::Outbound;
use crate::stores::breakers::{Transitions, routes as breakers};
use crate::stores::flags::{Live, routes as flags};
use crate::stores::rate_limits::policies::PolicyMemory;
use crate::stores::rate_limits::{Guard, routes as rate_limits};
use crate::stores::sessions::standby::{Bounds, Standby};
use crate::stores::sessions::{SessionFallback, Upkeep, routes as sessions};
use crate::stores::tokens::{Expiring, routes as tokens};
use crate::tenancy::SteadyClock;
use crate::vault::Vault;
use actix_web::dev::Extensions;
use actix_web::web;
use prometheus_client::registry::Registry as Metrics;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The endpoints of all capabilities.
pub(super) fn endpoints() -> Endpoints {
    let tenants = sessions::endpoints().and(tokens::endpoints()).and(breakers::endpoints());
    tenants.and(rate_limits::endpoints()).and(flags::endpoints())
}

/// Those for operators.
pub(super) fn admin_endpoints() -> Endpoints {
    tokens::vault_endpoints()
}

/// What the capabilities stand on.
pub(super) struct Ground<'a> {
    pub(super) config: &'a Config,
    pub(super) database: &'a Database,
    /// Where sessions are, which may be another one.
    pub(super) sessions_in: Database,
    pub(super) backend_clock: BackendClock,
    pub(super) steady: Arc<SteadyClock>,
    /// What seals and opens secrets.
    pub(super) vault: Vault,
    /// What outlives the workers.
    pub(super) runtime: Handle,
    pub(super) outage: &'a Outage,
    pub(super) metrics: &'a mut Metrics,
}

/// What opens the store of each capability, and what else of them the application looks after.
#[derive(Clone)]
pub(super) struct Stores {
    sessions: web::Data<sessions::OpenSessions>,
    rate_limits: web::Data<rate_limits::OpenRateLimits>,
    breakers: web::Data<breakers::OpenBreakers>,
    pub(super) tokens: web::Data<tokens::OpenTokens>,
    vault: web::Data<tokens::OpenVault>,
    pub(super) sessions_upkeep: Arc<Upkeep>,
    pub(super) expiring_tokens: Arc<Expiring>,
    pub(super) standby: Option<Arc<Standby>>,
    pub(super) guard: Arc<Guard>,
    pub(super) live_flags: Arc<Live>,
}

impl Stores {
    pub(super) fn open(ground: Ground<'_>) -> Stores {
        let Ground { config, database, sessions_in, backend_clock, steady, vault, runtime, outage, metrics } = ground;
        let sessions_upkeep = Arc::new(Upkeep::default());
        sessions_upkeep.counts().register(metrics);
        let settings = config.sessions.clone();
        let standby = match config.session_fallback {
            SessionFallback::None => None,
            SessionFallback::Memory => {
                let (sessions_in, upkeep, outage) = (sessions_in.clone(), sessions_upkeep.clone(), outage.clone());
                Some(Standby::new(outage, sessions_in, backend_clock, settings.clone(), upkeep, Bounds::default()))
            }
        };
        let sessions = sessions::OpenSessions::new(sessions_in, settings, sessions_upkeep.clone(), standby.clone());

        let guard = Arc::new(Guard::new(config.rate_limits.fail, outage.clone(), steady.clone()));
        guard.register(metrics);
        let policies = Arc::new(PolicyMemory::new(steady.clone()));
        let fields = QuotaFields { legacy: config.rate_limits.legacy_headers };
        let rate_limits = rate_limits::OpenRateLimits::new(database.clone(), guard.clone(), policies, fields);

        let transitions = Arc::new(Transitions::default());
        transitions.register(metrics);
        let breakers = breakers::OpenBreakers::new(database.clone(), config.breakers.clone(), transitions);

        let live = Live::new(database.clone(), steady.clone(), outage.clone());
        live.reasons().register(metrics);

        let outbound = Outbound::new(config.outbound.clone());
        let open_vault = tokens::OpenVault::new(database.clone(), vault.clone());
        let tokens = tokens::OpenTokens::new(database.clone(), vault, outbound, steady, runtime);
        tokens.metrics().register(metrics);

        Stores {
            sessions: web::Data::new(sessions),
            rate_limits: web::Data::new(rate_limits),
            breakers: web::Data::new(breakers),
            live_flags: live,
            expiring_tokens: tokens.expiring(),
            tokens: web::Data::new(tokens),
            vault: web::Data::new(open_vault),
            sessions_upkeep,
            standby,
            guard,
        }
    }

    /// For the handlers of one worker.
    pub(super) fn provide(&self, provided: &mut Extensions) {
        provided.insert(self.sessions.clone());
        provided.insert(self.tokens.clone());
        provided.insert(self.vault.clone());
        provided.insert(self.rate_limits.clone());
        provided.insert(self.breakers.clone());
        provided.insert(web::Data::new(flags::OpenFlags::new(self.live_flags.clone())));
    }
}
