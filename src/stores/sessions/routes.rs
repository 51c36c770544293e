//! Sessions over HTTP: the endpoints, and what opens the store that their handlers ask.

mod handlers;

use super::bodies::{
    BATCH, BatchAnswer, BatchBody, CreateBody, CreatedSession, ExtendBody, PatchBody, PutBody, RefreshBody, Revoked,
    SessionSchema,
};
use super::settings::SessionSettings;
use super::standby::{Served, Standby};
use super::store::Sessions;
use super::upkeep::Upkeep;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::db::Database;
use crate::http::{CURSOR, Endpoints, InOutage, LIMIT, Opens, Page, Parameter};
use crate::tenancy::{Access, Area, Scope, Tenant};
use handlers::{
    batch, create, exists, extend, list, list_of_user, patch, put, read, refresh, revoke, revoke_all, rotate,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const READ: Scope = Scope::new(Area::Sessions, Access::Read);
const WRITE: Scope = Scope::new(Area::Sessions, Access::Write);

const TOUCH: Parameter =
    Parameter { name: "touch", kind: "boolean", meaning: "`false`: reading does not count as use" };
const EXCEPT: Parameter =
    Parameter { name: "except", kind: "string", meaning: "The id or `ref` of a session that stays" };

/// So many sessions of a batch cost about what a request for one does.
const WEIGH_AS_ONE: usize = 8;

/// Opens the session store of a tenant.
pub struct OpenSessions {
    database: Database,
    settings: SessionSettings,
    upkeep: Arc<Upkeep>,
    standby: Option<Arc<Standby>>,
}

impl OpenSessions {
    /// Sessions in this database, with these settings where a tenant has none of its own; during an outage in
    /// `standby`, if there is one.
    pub fn new(
        database: Database,
        settings: SessionSettings,
        upkeep: Arc<Upkeep>,
        standby: Option<Arc<Standby>>,
    ) -> Self {
        OpenSessions { database, settings, upkeep, standby }
    }
}

impl Opens for OpenSessions {
    type Store = Served;

    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Served {
        let db = self.database.tenant(&tenant.id).by(deadline);
        let sessions = Sessions::new(db, self.settings.for_tenant(tenant), self.upkeep.clone());
        Served::open(sessions, self.standby.as_ref())
    }

    fn degraded(sessions: &Served) -> Option<Arc<AtomicBool>> {
        sessions.degraded()
    }
}

/// The table.
pub fn endpoints() -> Endpoints {
    Endpoints::under("/v1/sessions")
        .post("", WRITE, create)
        .says("Creates a session; the server makes its id unless one is given")
        .in_outage(InOutage::StandIn)
        .takes::<CreateBody>()
        .answers::<CreatedSession>(201, "Created, with `Location` and `ETag`")
        .refuses(&[Code::SessionExists, Code::SessionLimitReached, Code::EditConflict, Code::StorageFull])
        .creates()
        .get("", READ, list)
        .says("The tenant's sessions, newest first, without ids and data")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<SessionSchema>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .post("/batch", WRITE, batch)
        .says("Reads (`get`) or revokes (`delete`) up to 1000 sessions; reading does not count as use")
        .in_outage(InOutage::StandIn)
        .takes::<BatchBody>()
        .answers::<BatchAnswer>(200, "The sessions in order, `null` where there is none; or how many were revoked")
        .refuses(&[Code::AnswerTooLarge])
        .weighs(BATCH.div_ceil(WEIGH_AS_ONE) as u32)
        .post("/refresh", WRITE, refresh)
        .says("Exchanges a refresh token for a new one, and gives the session a new id")
        .in_outage(InOutage::StandIn)
        .takes::<RefreshBody>()
        .answers::<CreatedSession>(200, "The session under its new id; the same again for 10 s")
        .refuses(&[Code::RefreshTokenInvalid, Code::RefreshTokenReused])
        .get("/{id}", READ, read)
        .says("Reads a session and slides its expiry, at most once per tenth of its lifetime")
        .in_outage(InOutage::StandIn)
        .query(&[TOUCH])
        .answers::<SessionSchema>(200, "The session, with `ETag`")
        .answers_empty(304, "It is at the version of `If-None-Match`")
        .refuses(&[Code::SessionNotFound, Code::InvalidHeader])
        .head("/{id}", READ, exists)
        .says("Whether a session is there; never slides its expiry")
        .in_outage(InOutage::StandIn)
        .answers_empty(200, "It is")
        .refuses(&[Code::SessionNotFound])
        .put("/{id}", WRITE, put)
        .says("Replaces a session, or creates it under this id")
        .in_outage(InOutage::StandIn)
        .takes::<PutBody>()
        .answers::<SessionSchema>(200, "Replaced")
        .answers::<SessionSchema>(201, "Created")
        .refuses(&[
            Code::VersionMismatch,
            Code::SessionLimitReached,
            Code::EditConflict,
            Code::InvalidHeader,
            Code::StorageFull,
        ])
        .patch("/{id}", WRITE, patch)
        .says("Merges changes in (RFC 7396); two writers never lose each other's members")
        .in_outage(InOutage::StandIn)
        .takes::<PatchBody>()
        .answers::<SessionSchema>(200, "The session as it is now")
        .refuses(&[
            Code::SessionNotFound,
            Code::VersionMismatch,
            Code::EditConflict,
            Code::InvalidHeader,
            Code::StorageFull,
        ])
        .delete("/{id}", WRITE, revoke)
        .says("Revokes a session, by its id or by the `ref` that lists show")
        .in_outage(InOutage::StandIn)
        .answers_empty(204, "Revoked")
        .refuses(&[Code::SessionNotFound, Code::VersionMismatch, Code::InvalidHeader])
        .post("/{id}/extend", WRITE, extend)
        .says("Gives a session a new expiry; `ttl` becomes its own lifetime")
        .in_outage(InOutage::StandIn)
        .may_take::<ExtendBody>()
        .answers::<SessionSchema>(200, "The session")
        .refuses(&[Code::SessionNotFound, Code::VersionMismatch, Code::EditConflict, Code::InvalidHeader])
        .post("/{id}/rotate", WRITE, rotate)
        .says("Gives a session a new id; the old one is invalid at once")
        .in_outage(InOutage::StandIn)
        .answers::<SessionSchema>(200, "The session under its new id")
        .refuses(&[Code::SessionNotFound, Code::VersionMismatch, Code::EditConflict, Code::InvalidHeader])
        .and(
            Endpoints::under("/v1/users/{user_id}/sessions")
                .get("", READ, list_of_user)
                .says("A user's live sessions, newest first, without ids and data")
                .query(&[LIMIT, CURSOR])
                .answers::<Page<SessionSchema>>(200, "A page")
                .refuses(&[Code::InvalidCursor])
                .delete("", WRITE, revoke_all)
                .says("Revokes all sessions of a user, or all but one; a racing touch or refresh brings none back")
                .in_outage(InOutage::StandIn)
                .query(&[EXCEPT])
                .answers::<Revoked>(200, "How many were revoked"),
        )
}
