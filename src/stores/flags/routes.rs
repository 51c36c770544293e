//! Flags over HTTP: the endpoints, and what opens the store that their handlers ask.

mod definitions;
mod evaluation;
mod events;
mod refusals;

use super::answers::ofrep::{BulkEvaluation, Evaluation, EvaluationRequest};
use super::answers::{Definition, Document, FlagAnswer, StatsAnswer, VersionAnswer, WrittenAnswer};
use super::bodies::ExplainBody;
use super::live::{Current, Live, RecentFlags, Watch};
use super::rules::Explanation;
use super::store::Flags;
use crate::base::clock::Timestamp;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db;
use crate::http::{CURSOR, Endpoints, InOutage, LIMIT, Opens, Page, Parameter};
use crate::tenancy::{Access, Area, Purpose, Scope, Tenant};
use std::rc::Rc;
use std::sync::Arc;

const READ: Scope = Scope::new(Area::Flags, Access::Read);
const WRITE: Scope = Scope::new(Area::Flags, Access::Write);

/// What the tokens open that bulk evaluations give away.
const STREAM: Purpose = Purpose::new("flag events");

const SINCE: Parameter =
    Parameter { name: "since", kind: "string", meaning: "The configuration that the client has; `Last-Event-ID` wins" };
const DAYS: Parameter =
    Parameter { name: "days", kind: "integer", meaning: "How many days, today included: 1 to 31; 7 when not given" };

/// Opens the flags of a tenant.
pub struct OpenFlags {
    recent: Rc<RecentFlags>,
}

impl OpenFlags {
    /// Flags in the database of `live`, evaluated as that knows them, for one worker.
    pub fn new(live: Arc<Live>) -> OpenFlags {
        OpenFlags { recent: Rc::new(RecentFlags::of(live)) }
    }
}

/// The flags of one tenant as a handler gets them.
pub struct Served {
    recent: Rc<RecentFlags>,
    tenant: TenantId,
    /// When the tenant was made.
    made: Timestamp,
    deadline: Deadline,
}

impl Served {
    /// Their definitions.
    pub(super) fn flags(&self) -> Flags {
        Flags::new(self.live().database().tenant(&self.tenant).by(self.deadline), self.live().clone())
    }

    fn live(&self) -> &Arc<Live> {
        self.recent.live()
    }

    /// The flags as they are evaluated now.
    async fn current(&self) -> Result<Current, db::Error> {
        let current = self.recent.current(&self.tenant, self.deadline).await?;
        if current.is_of(self.made) {
            return Ok(current);
        }
        // Another tenant had this id before, and was deleted.
        self.live().forget(&self.tenant);
        self.recent.current(&self.tenant, self.deadline).await
    }

    /// The same for somebody who was told of this configuration.
    async fn current_for(&self, told: &str) -> Result<Current, db::Error> {
        let current = self.current().await?;
        if current.compiled().id == told {
            return Ok(current);
        }
        self.live().current_for(told, &self.tenant, self.deadline).await
    }

    /// Tells of changes of the flags from now on.
    async fn watch(&self) -> Result<Watch, db::Error> {
        self.current().await?;
        self.live().watch(&self.tenant, self.deadline).await
    }

    /// Unix seconds, by the backend's clock.
    fn seconds(&self) -> u64 {
        self.live().database().now().as_millis() / 1000
    }
}

impl Opens for OpenFlags {
    type Store = Served;

    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Served {
        Served { recent: self.recent.clone(), tenant: tenant.id.clone(), made: tenant.created_at, deadline }
    }
}

/// The table.
pub fn endpoints() -> Endpoints {
    one().and(set()).and(ofrep()).and(events())
}

fn events() -> Endpoints {
    Endpoints::under("/ofrep/v1/events")
        .get("", READ, events::listen)
        .says("Tells of changes of the flags as server-sent events (OFREP); browsers come with the token of a bulk evaluation")
        .query(&[SINCE])
        .answers_empty(200, "`text/event-stream`: an event for each change, that the evaluations are to be fetched again")
        .refuses(&[Code::TooManyStreams])
        .refuses_as(refusals::of_all)
        .or_by_token(STREAM)
        .unmetered()
        .in_outage(InOutage::Approximate)
}

const CONFIG_ETAG: Parameter =
    Parameter { name: "flagConfigEtag", kind: "string", meaning: "`etag` of the event that caused this request" };
const CONFIG_MODIFIED: Parameter =
    Parameter { name: "flagConfigLastModified", kind: "string", meaning: "`lastModified` of that event; not needed" };

fn ofrep() -> Endpoints {
    Endpoints::under("/ofrep/v1/evaluate/flags")
        .post("", READ, evaluation::evaluate_all)
        .says("Evaluates all flags for a context (OFREP)")
        .query(&[CONFIG_ETAG, CONFIG_MODIFIED])
        .may_take::<EvaluationRequest>()
        .answers::<BulkEvaluation>(200, "The flags, failing ones among them, with an `ETag` over rules and context")
        .refuses(&[Code::InvalidContext])
        .refuses_as(refusals::of_all)
        .unmetered()
        .in_outage(InOutage::Approximate)
        .post("/{*key}", READ, evaluation::evaluate)
        .says("Evaluates a flag for a context (OFREP)")
        .may_take::<EvaluationRequest>()
        .answers::<Evaluation>(200, "The value; none where the code's default is to be used")
        .refuses(&[Code::FlagNotFound, Code::TargetingKeyMissing, Code::InvalidContext, Code::FlagFailed])
        .refuses_as(refusals::of_one)
        .unmetered()
        .in_outage(InOutage::Approximate)
}

fn one() -> Endpoints {
    Endpoints::under("/v1/flags")
        .get("", READ, definitions::list)
        .says("The tenant's flags, by key")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<FlagAnswer>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .get("/{key}", READ, definitions::read)
        .says("Reads a flag")
        .answers::<Definition>(200, "The flag, in flagd's schema")
        .refuses(&[Code::FlagNotFound])
        .put("/{key}", WRITE, definitions::put)
        .says("Puts a flag, which every server evaluates within a second")
        .takes::<Definition>()
        .answers::<WrittenAnswer>(201, "Created, with `Location`")
        .answers::<WrittenAnswer>(200, "Replaced, or so already")
        .refuses(&[Code::VersionMismatch, Code::FlagsetTooLarge, Code::EditConflict, Code::StorageFull])
        .delete("/{key}", WRITE, definitions::delete)
        .says("Deletes a flag")
        .answers_empty(204, "Deleted")
        .refuses(&[Code::FlagNotFound, Code::VersionMismatch, Code::EditConflict])
        .post("/{key}/explain", READ, definitions::explain)
        .says("Tells what a flag gives for a context, and why: the way through its rules. With `definition`, of a flag that is not stored")
        .may_take::<ExplainBody>()
        .answers::<Explanation>(200, "The value, the reason, the buckets and the path through the rules")
        .refuses(&[Code::FlagNotFound])
        .get("/{key}/stats", READ, definitions::stats)
        .says("How often a flag gave which variant, by day")
        .query(&[DAYS])
        .answers::<StatsAnswer>(200, "The counts; those of the last seconds are still to come")
}

fn set() -> Endpoints {
    Endpoints::under("/v1/flagset")
        .get("", READ, definitions::read_set)
        .says("Reads the whole set")
        .answers::<Document>(200, "The set, in flagd's schema")
        .put("", WRITE, definitions::put_set)
        .says("Replaces the whole set at once")
        .takes::<Document>()
        .answers::<WrittenAnswer>(201, "Created")
        .answers::<WrittenAnswer>(200, "Replaced, or so already")
        .refuses(&[Code::VersionMismatch, Code::FlagsetTooLarge, Code::EditConflict, Code::StorageFull])
        .get("/versions", READ, definitions::versions)
        .says("The last 50 versions of the set: who, when, what changed")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<VersionAnswer>>(200, "A page, the newest first")
        .refuses(&[Code::InvalidCursor])
        .get("/versions/{version}", READ, definitions::read_version)
        .says("Reads the whole set as it was at a version")
        .answers::<Document>(200, "The set, in flagd's schema")
        .refuses(&[Code::FlagsetVersionNotFound])
        .post("/versions/{version}/restore", WRITE, definitions::restore)
        .says("Makes the set what it was at a version, which makes a new version")
        .answers::<WrittenAnswer>(200, "Restored, or so already")
        .refuses(&[
            Code::FlagsetVersionNotFound,
            Code::VersionMismatch,
            Code::FlagsetTooLarge,
            Code::EditConflict,
            Code::StorageFull,
        ])
}
