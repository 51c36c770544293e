//! Circuit breakers over HTTP: the endpoints, and what opens the store that their handlers ask.

mod handlers;

use super::answers::{AcquireAnswer, BreakerAnswer, ReportAnswer};
use super::bodies::{AcquireBody, ForceBody, ReportBody, SettingsBody};
use super::last_known::LastKnown;
use super::served::Served;
use super::settings::BreakerSettings;
use super::store::Breakers;
use super::transitions::Transitions;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::db::Database;
use crate::http::{CURSOR, Endpoints, InOutage, LIMIT, Opens, Page};
use crate::tenancy::{Access, Area, Scope, Tenant};
use handlers::{acquire, configure, force, forget, list, read, report};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const READ: Scope = Scope::new(Area::Breakers, Access::Read);
const WRITE: Scope = Scope::new(Area::Breakers, Access::Write);

/// Opens the breakers of a tenant.
pub struct OpenBreakers {
    database: Database,
    settings: BreakerSettings,
    transitions: Arc<Transitions>,
    last_known: Arc<LastKnown>,
}

impl OpenBreakers {
    /// Breakers in this database, with these settings where a breaker has none of its own; changes of state are told
    /// to `transitions`.
    pub fn new(database: Database, settings: BreakerSettings, transitions: Arc<Transitions>) -> Self {
        OpenBreakers { database, settings, transitions, last_known: Arc::default() }
    }
}

impl Opens for OpenBreakers {
    type Store = Served;

    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Served {
        let (db, policy) = (self.database.tenant(&tenant.id).by(deadline), self.settings.policy());
        let breakers = Breakers::new(db.clone(), policy, self.transitions.clone());
        Served::new(breakers, db, policy, self.settings.enabled, self.last_known.clone())
    }

    fn degraded(breakers: &Served) -> Option<Arc<AtomicBool>> {
        Some(breakers.degraded())
    }
}

/// The table.
pub fn endpoints() -> Endpoints {
    Endpoints::under("/v1/breakers")
        .get("", READ, list)
        .says("The tenant's breakers that have settings or something to remember, in the order of their names")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<BreakerAnswer>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .put("/{name}", WRITE, configure)
        .says("Replaces all settings of a breaker; what is left out is as by default, and its state stays")
        .takes::<SettingsBody>()
        .answers::<BreakerAnswer>(200, "The breaker")
        .refuses(&[Code::BreakerLimitReached, Code::StorageFull])
        .get("/{name}", READ, read)
        .says("Reads a breaker; one that nobody knows is closed. While the backend cannot be asked, the last known state alone")
        .in_outage(InOutage::Approximate)
        .answers::<BreakerAnswer>(200, "The breaker")
        .delete("/{name}", WRITE, forget)
        .says("Forgets a breaker, its state and its settings")
        .answers_empty(204, "There is nothing of it")
        .post("/{name}/acquire", WRITE, acquire)
        .says("Asks whether a call may be made. While the backend cannot be asked, by the last known state")
        .in_outage(InOutage::Approximate)
        .may_take::<AcquireBody>()
        .answers::<AcquireAnswer>(200, "Whether it may")
        .post("/{name}/report", WRITE, report)
        .says("Tells how calls went. While the backend cannot be asked, answers the last known state; the report is then lost, or was counted unseen")
        .in_outage(InOutage::Approximate)
        .takes::<ReportBody>()
        .answers::<ReportAnswer>(200, "The state after it")
        .refuses(&[Code::BreakerLimitReached])
        .post("/{name}/force", WRITE, force)
        .says("Sets a state by hand, for a while or until further notice; `auto` gives it back")
        .takes::<ForceBody>()
        .answers::<BreakerAnswer>(200, "The breaker")
        .refuses(&[Code::BreakerLimitReached, Code::StorageFull])
}
