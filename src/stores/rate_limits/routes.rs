//! Rate limits over HTTP: the endpoints, and what opens the store that their handlers ask.

mod answers;
mod handlers;
mod policies;
mod requests;
mod reservations;

use super::bodies::{
    AnswerBody, ChecksBody, CommitBody, MOST_CHECKS, PolicyAnswer, PolicyBody, ReserveBody, ReservedBody, ResultBody,
    SettledBody,
};
use super::policies::{Policies, PolicyMemory};
use super::{Guard, Guarded, RateLimits};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::db::Database;
use crate::http::{CURSOR, Endpoints, InOutage, LIMIT, Opens, Page, Parameter, QuotaFields};
use crate::tenancy::{Access, Area, Scope, Tenant};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const READ: Scope = Scope::new(Area::RateLimit, Access::Read);
const WRITE: Scope = Scope::new(Area::RateLimit, Access::Write);

const KEY: Parameter = Parameter { name: "key", kind: "string", meaning: "Whose uses are counted" };
const QUERY: &[Parameter] = &[
    KEY,
    Parameter { name: "limit", kind: "integer", meaning: "Units in a window" },
    Parameter { name: "window", kind: "string", meaning: "Whole seconds, or a number followed by ms, s, m, h or d" },
    Parameter { name: "burst", kind: "integer", meaning: "Units beyond the limit; none when not given" },
    Parameter { name: "cost", kind: "integer", meaning: "Units that are asked for; one when not given" },
    Parameter {
        name: "algorithm",
        kind: "string",
        meaning: "`sliding_window` (when not given), `sliding_log`, `token_bucket` or `fixed_window`",
    },
    Parameter { name: "policy", kind: "string", meaning: "The policy that says all but key and cost" },
];

/// So many checks of one call cost about what a request for one does.
const WEIGH_AS_ONE: usize = 8;

/// Opens the rate limits of a tenant.
pub struct OpenRateLimits {
    database: Database,
    guard: Arc<Guard>,
    memory: Arc<PolicyMemory>,
    fields: QuotaFields,
}

impl OpenRateLimits {
    /// Rate limits in this database behind this guard, with policies as `memory` knows them. Answers tell of quotas
    /// by these fields.
    pub fn new(database: Database, guard: Arc<Guard>, memory: Arc<PolicyMemory>, fields: QuotaFields) -> Self {
        OpenRateLimits { database, guard, memory, fields }
    }
}

/// The rate limits of a tenant.
pub struct Limiting {
    limits: Guarded,
    policies: Policies,
    fields: QuotaFields,
}

impl Opens for OpenRateLimits {
    type Store = Limiting;

    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Limiting {
        let db = self.database.tenant(&tenant.id).by(deadline);
        Limiting {
            limits: self.guard.over(&tenant.id, RateLimits::new(db.clone())),
            policies: Policies::new(db, self.memory.clone()),
            fields: self.fields,
        }
    }

    fn degraded(limiting: &Limiting) -> Option<Arc<AtomicBool>> {
        Some(limiting.limits.degraded())
    }
}

/// The table.
pub fn endpoints() -> Endpoints {
    Endpoints::under("/v1/ratelimit")
        .post("/check", WRITE, handlers::check)
        .says("Counts uses, if they are allowed; several at once, all or none")
        .in_outage(InOutage::Approximate)
        .takes::<ChecksBody>()
        .answers::<AnswerBody<'static>>(200, "Whether they are")
        .refuses(&[Code::PolicyNotFound, Code::TooManyWindows])
        .weighs(MOST_CHECKS.div_ceil(WEIGH_AS_ONE) as u32)
        .post("/enforce", WRITE, handlers::enforce)
        .says("The same, refused with 429 where it is denied")
        .in_outage(InOutage::Approximate)
        .takes::<ChecksBody>()
        .answers::<AnswerBody<'static>>(200, "They are, with `RateLimit` and `RateLimit-Policy`")
        .refuses(&[Code::PolicyNotFound, Code::TooManyWindows, Code::RateLimited])
        .weighs(MOST_CHECKS.div_ceil(WEIGH_AS_ONE) as u32)
        .get("/enforce", WRITE, handlers::enforce_query)
        .says("The same for one check in the query: for a gateway's auth request. It counts")
        .in_outage(InOutage::Approximate)
        .query(QUERY)
        .answers::<ResultBody<'static>>(200, "It is, with `RateLimit` and `RateLimit-Policy`")
        .refuses(&[Code::PolicyNotFound, Code::TooManyWindows, Code::RateLimited])
        .get("", READ, handlers::peek)
        .says("How a check would be answered; counts nothing")
        .in_outage(InOutage::Approximate)
        .query(QUERY)
        .answers::<ResultBody<'static>>(200, "As it would be")
        .refuses(&[Code::PolicyNotFound])
        .delete("", WRITE, handlers::reset)
        .says("Forgets all uses of a key, by every algorithm and over every window, and its reservations")
        .query(&[KEY])
        .answers_empty(204, "Nothing of it is used")
        .post("/reserve", WRITE, reservations::reserve)
        .says("Holds units whose cost is not known yet; they free themselves after `ttl`")
        .takes::<ReserveBody>()
        .answers::<ReservedBody<'static>>(201, "Held")
        .answers::<ReservedBody<'static>>(200, "Denied: nothing is held")
        .refuses(&[Code::PolicyNotFound, Code::TooManyWindows, Code::StorageFull])
        .creates()
        .post("/reservations/{id}/commit", WRITE, reservations::commit)
        .says("Counts what was used of a reservation, even beyond the limit, and frees the rest")
        .takes::<CommitBody>()
        .answers::<SettledBody>(200, "Counted, now or by an earlier call that said the same")
        .refuses(&[Code::ReservationNotFound, Code::ReservationSettled, Code::StorageFull])
        .post("/reservations/{id}/cancel", WRITE, reservations::cancel)
        .says("Frees a reservation")
        .answers::<SettledBody>(200, "Freed, now or by an earlier call")
        .refuses(&[Code::ReservationNotFound, Code::ReservationSettled])
        .get("/policies", READ, policies::list)
        .says("The tenant's policies, by name")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<PolicyAnswer<'static>>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .get("/policies/{name}", READ, policies::read)
        .says("Reads a policy")
        .answers::<PolicyAnswer<'static>>(200, "The policy")
        .refuses(&[Code::PolicyNotFound])
        .put("/policies/{name}", WRITE, policies::put)
        .says("Keeps a policy; in force on every instance within a second")
        .takes::<PolicyBody>()
        .answers::<PolicyAnswer<'static>>(200, "Replaced")
        .answers::<PolicyAnswer<'static>>(201, "Created")
        .refuses(&[Code::PolicyLimitReached, Code::StorageFull])
        .delete("/policies/{name}", WRITE, policies::delete)
        .says("Deletes a policy; in force on every instance within a second")
        .answers_empty(204, "Deleted")
        .refuses(&[Code::PolicyNotFound])
}
