//! Sessions over HTTP: from requests to the store, and from its outcomes to answers.

use super::bodies::{
    BATCH, BatchAnswer, BatchBody, CreateBody, CreatedSession, ExtendBody, PatchBody, PutBody, RefreshBody, Revoked,
    SessionSchema,
};
use super::settings::SessionSettings;
use super::standby::{Served, Standby};
use super::store::Sessions;
use super::types::{
    CreateOutcome, Cursor, Error, NewSession, Page as Listed, PatchOutcome, PatchSession, PutOutcome, PutSession,
    RefreshOutcome, RenewOutcome, RevokeOutcome, Session, Touch,
};
use super::upkeep::Upkeep;
use super::{SessionId, SessionRef};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::base::duration::DurationField;
use crate::base::text::Name;
use crate::db::{Database, ErrorKind, TOO_LONG};
use crate::http::{
    CURSOR, Endpoints, Fault, InOutage, Json, LIMIT, Opens, OptionalJson, Page, PageRequest, Parameter, PathArg,
    Preconditions, Problem, Query, Scoped, Weight, etag, json, json_text,
};
use crate::tenancy::{Access, Area, Scope, Tenant};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

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

type Store = Scoped<OpenSessions>;
type Outcome = Result<HttpResponse, Problem>;

/// The table.
pub fn endpoints() -> Endpoints {
    Endpoints::under("/v1/sessions")
        .post("", WRITE, create)
        .says("Creates a session; the server makes its id unless one is given")
        .in_outage(InOutage::Local)
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
        .in_outage(InOutage::Local)
        .takes::<BatchBody>()
        .answers::<BatchAnswer>(200, "The sessions in order, `null` where there is none; or how many were revoked")
        .refuses(&[Code::AnswerTooLarge])
        .weighs(BATCH.div_ceil(WEIGH_AS_ONE) as u32)
        .post("/refresh", WRITE, refresh)
        .says("Exchanges a refresh token for a new one, and gives the session a new id")
        .in_outage(InOutage::Local)
        .takes::<RefreshBody>()
        .answers::<CreatedSession>(200, "The session under its new id; the same again for 10 s")
        .refuses(&[Code::RefreshTokenInvalid, Code::RefreshTokenReused])
        .get("/{id}", READ, read)
        .says("Reads a session and slides its expiry, at most once per tenth of its lifetime")
        .in_outage(InOutage::Local)
        .query(&[TOUCH])
        .answers::<SessionSchema>(200, "The session, with `ETag`")
        .answers_empty(304, "It is at the version of `If-None-Match`")
        .refuses(&[Code::SessionNotFound, Code::InvalidHeader])
        .head("/{id}", READ, exists)
        .says("Whether a session is there; never slides its expiry")
        .in_outage(InOutage::Local)
        .answers_empty(200, "It is")
        .refuses(&[Code::SessionNotFound])
        .put("/{id}", WRITE, put)
        .says("Replaces a session, or creates it under this id")
        .in_outage(InOutage::Local)
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
        .in_outage(InOutage::Local)
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
        .in_outage(InOutage::Local)
        .answers_empty(204, "Revoked")
        .refuses(&[Code::SessionNotFound, Code::VersionMismatch, Code::InvalidHeader])
        .post("/{id}/extend", WRITE, extend)
        .says("Gives a session a new expiry; `ttl` becomes its own lifetime")
        .in_outage(InOutage::Local)
        .may_take::<ExtendBody>()
        .answers::<SessionSchema>(200, "The session")
        .refuses(&[Code::SessionNotFound, Code::VersionMismatch, Code::EditConflict, Code::InvalidHeader])
        .post("/{id}/rotate", WRITE, rotate)
        .says("Gives a session a new id; the old one is invalid at once")
        .in_outage(InOutage::Local)
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
                .in_outage(InOutage::Local)
                .query(&[EXCEPT])
                .answers::<Revoked>(200, "How many were revoked"),
        )
}

async fn create(Scoped(sessions): Store, Json(body): Json<CreateBody>) -> Outcome {
    let new = NewSession {
        user_id: body.user_id,
        data: body.data,
        metadata: body.metadata,
        ttl: lifetime(body.ttl, "/ttl")?,
        absolute_ttl: lifetime(body.absolute_ttl, "/absolute_ttl")?,
        id: body.id.as_ref().map(SessionId::parse),
        refresh: body.refresh,
    };
    match sessions.create(new).await? {
        CreateOutcome::Created { session, refresh } => {
            let location = location(&session);
            let tag = etag(session.version);
            let mut head = HttpResponse::Created();
            Ok(json_text(head.insert_header((LOCATION, location)).insert_header(tag), |out| {
                session.write_json_with(refresh.as_ref(), out)
            }))
        }
        CreateOutcome::Exists => Err(Problem::new(Code::SessionExists, "Choose another id, or none.")),
        CreateOutcome::ReservedId => Err(Problem::fault("/id", RESERVED)),
        CreateOutcome::LimitReached => Err(limit_reached()),
    }
}

async fn read(Scoped(sessions): Store, PathArg(id): PathArg<Name>, query: Query, known: Preconditions) -> Outcome {
    let touch = if query.flag("touch")?.unwrap_or(true) { Touch::Yes } else { Touch::No };
    let session = sessions.read(&SessionId::parse(&id), touch).await?.ok_or_else(absent)?;
    if known.0.is_known(session.version) {
        return Ok(HttpResponse::NotModified().insert_header(etag(session.version)).finish());
    }
    found(&session)
}

async fn exists(Scoped(sessions): Store, PathArg(id): PathArg<Name>) -> Outcome {
    let exists = sessions.exists(&SessionId::parse(&id)).await?;
    if exists { Ok(HttpResponse::Ok().finish()) } else { Err(absent()) }
}

async fn put(
    Scoped(sessions): Store,
    PathArg(id): PathArg<Name>,
    only: Preconditions,
    Json(body): Json<PutBody>,
) -> Outcome {
    let ttl = lifetime(body.ttl, "/ttl")?;
    let put = PutSession { user_id: body.user_id, data: body.data, metadata: body.metadata, ttl };
    match sessions.put(&SessionId::parse(&id), put, &only.0).await? {
        PutOutcome::Created(session) => {
            let mut head = HttpResponse::Created();
            Ok(json_text(
                head.insert_header((LOCATION, location(&session))).insert_header(etag(session.version)),
                |out| session.write_json(out),
            ))
        }
        PutOutcome::Replaced(session) => found(&session),
        PutOutcome::VersionMismatch => Err(Preconditions::failed()),
        PutOutcome::ReservedId => Err(Problem::new(Code::InvalidName, RESERVED)),
        PutOutcome::LimitReached => Err(limit_reached()),
    }
}

async fn patch(
    Scoped(sessions): Store,
    PathArg(id): PathArg<Name>,
    only: Preconditions,
    Json(body): Json<PatchBody>,
) -> Outcome {
    let patch = PatchSession { data: body.data, metadata: body.metadata };
    match sessions.patch(&SessionId::parse(&id), &patch, &only.0).await? {
        PatchOutcome::Patched(session) => found(&session),
        PatchOutcome::Absent => Err(absent()),
        PatchOutcome::VersionMismatch => Err(Preconditions::failed()),
        PatchOutcome::TooLarge => Err(Problem::fault("", "the session would become too large")),
    }
}

async fn revoke(Scoped(sessions): Store, PathArg(id): PathArg<Name>, only: Preconditions) -> Outcome {
    match sessions.revoke(&SessionRef::to_revoke(&id), &only.0).await? {
        RevokeOutcome::Revoked => Ok(HttpResponse::NoContent().finish()),
        RevokeOutcome::Absent => Err(absent()),
        RevokeOutcome::VersionMismatch => Err(Preconditions::failed()),
    }
}

async fn extend(
    Scoped(sessions): Store,
    PathArg(id): PathArg<Name>,
    only: Preconditions,
    OptionalJson(body): OptionalJson<ExtendBody>,
) -> Outcome {
    let ttl = lifetime(body.ttl, "/ttl")?;
    renewed(sessions.extend(&SessionId::parse(&id), ttl, &only.0).await?)
}

async fn rotate(Scoped(sessions): Store, PathArg(id): PathArg<Name>, only: Preconditions) -> Outcome {
    renewed(sessions.rotate(&SessionId::parse(&id), &only.0).await?)
}

fn renewed(outcome: RenewOutcome) -> Outcome {
    match outcome {
        RenewOutcome::Renewed(session) => found(&session),
        RenewOutcome::Absent => Err(absent()),
        RenewOutcome::VersionMismatch => Err(Preconditions::failed()),
    }
}

async fn batch(Scoped(sessions): Store, weight: Weight, Json(body): Json<BatchBody>) -> Outcome {
    let bounded = |names: &[Name], pointer: &str| {
        if names.len() <= BATCH { Ok(()) } else { Err(Problem::fault(pointer, "has more than 1000 items")) }
    };
    let answer = match (body.get, body.delete) {
        (Some(names), None) => {
            bounded(&names, "/get")?;
            weight.is(names.len().div_ceil(WEIGH_AS_ONE));
            let ids: Vec<_> = names.iter().map(SessionId::parse).collect();
            let items = sessions.read_many(&ids).await.map_err(|error| refused_read(error, ids.len()))?;
            BatchAnswer::Read { items }
        }
        (None, Some(names)) => {
            bounded(&names, "/delete")?;
            weight.is(names.len().div_ceil(WEIGH_AS_ONE));
            let references: Vec<_> = names.iter().map(SessionRef::to_revoke).collect();
            BatchAnswer::Deleted { deleted: sessions.revoke_many(&references).await? }
        }
        _ => return Err(Problem::fault("", "must have either get or delete")),
    };
    json(&mut HttpResponse::Ok(), &answer)
}

/// What is too long for many may be right for fewer.
fn refused_read(error: Error, many: usize) -> Problem {
    match error {
        Error::Backend(error) if many > 1 && error.kind == ErrorKind::Protocol(TOO_LONG) => {
            Problem::new(Code::AnswerTooLarge, "Ask for fewer at a time.")
        }
        error => Problem::from(error).of_a_read(),
    }
}

async fn refresh(Scoped(sessions): Store, Json(body): Json<RefreshBody>) -> Outcome {
    match sessions.refresh(&body.refresh_token).await? {
        RefreshOutcome::Refreshed { session, refresh } => {
            let tag = etag(session.version);
            Ok(json_text(HttpResponse::Ok().insert_header(tag), |out| session.write_json_with(Some(&refresh), out)))
        }
        RefreshOutcome::Reused => {
            Err(Problem::new(Code::RefreshTokenReused, "The session and all its refresh tokens are revoked."))
        }
        RefreshOutcome::Invalid => Err(Problem::new(Code::RefreshTokenInvalid, "The user has to sign in again.")),
    }
}

async fn list(Scoped(sessions): Store, page: PageRequest) -> Outcome {
    let before = cursor(&page)?;
    listed(&page, sessions.list(before.as_ref(), page.limit).await?)
}

async fn list_of_user(Scoped(sessions): Store, PathArg(user): PathArg<Name>, page: PageRequest) -> Outcome {
    let before = cursor(&page)?;
    listed(&page, sessions.list_user(&user, before.as_ref(), page.limit).await?)
}

async fn revoke_all(Scoped(sessions): Store, PathArg(user): PathArg<Name>, query: Query) -> Outcome {
    let except = query.read("except", "must be a session id or ref", |text| Name::parse(text).ok())?;
    let revoked = sessions.revoke_all(&user, except.as_ref().map(SessionRef::to_revoke).as_ref()).await?;
    json(&mut HttpResponse::Ok(), &Revoked { revoked })
}

/// Everything but the unreserved characters (RFC 3986, section 2.3).
const RESERVED_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const RESERVED: &str = "may start with ses_ or sref_ only if the server made it";

fn absent() -> Problem {
    Problem::new(Code::SessionNotFound, "It has ended, was revoked, or never was.")
}

fn limit_reached() -> Problem {
    Problem::new(Code::SessionLimitReached, "Revoke one of the user's sessions first.")
}

/// A lifetime from a request: at least a millisecond, where there is one.
fn lifetime(field: Option<DurationField>, pointer: &str) -> Result<Option<Duration>, Problem> {
    match field {
        Some(DurationField(time)) if time.is_zero() => Err(Problem::fault(pointer, "must be above zero")),
        field => Ok(field.map(|DurationField(time)| time)),
    }
}

fn found(session: &Session) -> Outcome {
    Ok(json_text(HttpResponse::Ok().insert_header(etag(session.version)), |out| session.write_json(out)))
}

fn location(session: &Session) -> String {
    let id = session.id.as_ref().map(Name::as_str).unwrap_or_default();
    format!("/v1/sessions/{}", percent_encoding::utf8_percent_encode(id, RESERVED_IN_PATH))
}

fn cursor(page: &PageRequest) -> Result<Option<Cursor>, Problem> {
    let wrong = || {
        let fault = Fault { pointer: "cursor".to_owned(), detail: "was not made by this list".to_owned() };
        Problem::invalid(Code::InvalidCursor, vec![fault])
    };
    page.after.as_deref().map(|text| Cursor::parse(text).ok_or_else(wrong)).transpose()
}

fn listed(page: &PageRequest, listed: Listed) -> Outcome {
    page.answer(listed.items, listed.next.as_ref().map(Cursor::as_str))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Backend(error) => error.into(),
            Error::EditConflict => Problem::new(Code::EditConflict, "Others kept changing it; nothing was written."),
            Error::NoRandomness => crate::base::id::NoRandomness.into(),
        }
    }
}
