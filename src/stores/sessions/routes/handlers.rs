//! From requests to the store, and from its outcomes to answers.

use super::super::bodies::{
    BATCH, BatchAnswer, BatchBody, CreateBody, ExtendBody, PatchBody, PutBody, RefreshBody, Revoked,
};
use super::super::types::{
    CreateOutcome, Cursor, Error, NewSession, Page as Listed, PatchOutcome, PatchSession, PutOutcome, PutSession,
    RefreshOutcome, RenewOutcome, RevokeOutcome, Session, Touch,
};
use super::super::{SessionId, SessionRef};
use super::{OpenSessions, WEIGH_AS_ONE};
use crate::base::code::Code;
use crate::base::duration::DurationField;
use crate::base::text::{Name, SEGMENT};
use crate::db::{ErrorKind, TOO_LONG};
use crate::http::{
    Json, OptionalJson, PageRequest, PathArg, Preconditions, Problem, Query, Scoped, Weight, etag, json, json_text,
};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use percent_encoding::utf8_percent_encode;
use std::time::Duration;

type Store = Scoped<OpenSessions>;
type Outcome = Result<HttpResponse, Problem>;

pub(super) async fn create(Scoped(sessions): Store, Json(body): Json<CreateBody>) -> Outcome {
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

pub(super) async fn read(
    Scoped(sessions): Store,
    PathArg(id): PathArg<Name>,
    query: Query,
    known: Preconditions,
) -> Outcome {
    let touch = if query.flag("touch")?.unwrap_or(true) { Touch::Yes } else { Touch::No };
    let session = sessions.read(&SessionId::parse(&id), touch).await?.ok_or_else(absent)?;
    if known.0.is_known(session.version) {
        return Ok(HttpResponse::NotModified().insert_header(etag(session.version)).finish());
    }
    found(&session)
}

pub(super) async fn exists(Scoped(sessions): Store, PathArg(id): PathArg<Name>) -> Outcome {
    let exists = sessions.exists(&SessionId::parse(&id)).await?;
    if exists { Ok(HttpResponse::Ok().finish()) } else { Err(absent()) }
}

pub(super) async fn put(
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

pub(super) async fn patch(
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

pub(super) async fn revoke(Scoped(sessions): Store, PathArg(id): PathArg<Name>, only: Preconditions) -> Outcome {
    match sessions.revoke(&SessionRef::to_revoke(&id), &only.0).await? {
        RevokeOutcome::Revoked => Ok(HttpResponse::NoContent().finish()),
        RevokeOutcome::Absent => Err(absent()),
        RevokeOutcome::VersionMismatch => Err(Preconditions::failed()),
    }
}

pub(super) async fn extend(
    Scoped(sessions): Store,
    PathArg(id): PathArg<Name>,
    only: Preconditions,
    OptionalJson(body): OptionalJson<ExtendBody>,
) -> Outcome {
    let ttl = lifetime(body.ttl, "/ttl")?;
    renewed(sessions.extend(&SessionId::parse(&id), ttl, &only.0).await?)
}

pub(super) async fn rotate(Scoped(sessions): Store, PathArg(id): PathArg<Name>, only: Preconditions) -> Outcome {
    renewed(sessions.rotate(&SessionId::parse(&id), &only.0).await?)
}

fn renewed(outcome: RenewOutcome) -> Outcome {
    match outcome {
        RenewOutcome::Renewed(session) => found(&session),
        RenewOutcome::Absent => Err(absent()),
        RenewOutcome::VersionMismatch => Err(Preconditions::failed()),
    }
}

pub(super) async fn batch(Scoped(sessions): Store, weight: Weight, Json(body): Json<BatchBody>) -> Outcome {
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

pub(super) async fn refresh(Scoped(sessions): Store, Json(body): Json<RefreshBody>) -> Outcome {
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

pub(super) async fn list(Scoped(sessions): Store, page: PageRequest) -> Outcome {
    let before = cursor(&page)?;
    listed(&page, sessions.list(before.as_ref(), page.limit).await?)
}

pub(super) async fn list_of_user(Scoped(sessions): Store, PathArg(user): PathArg<Name>, page: PageRequest) -> Outcome {
    let before = cursor(&page)?;
    listed(&page, sessions.list_user(&user, before.as_ref(), page.limit).await?)
}

pub(super) async fn revoke_all(Scoped(sessions): Store, PathArg(user): PathArg<Name>, query: Query) -> Outcome {
    let except = query.read("except", "must be a session id or ref", |text| Name::parse(text).ok())?;
    let revoked = sessions.revoke_all(&user, except.as_ref().map(SessionRef::to_revoke).as_ref()).await?;
    json(&mut HttpResponse::Ok(), &Revoked { revoked })
}

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
    format!("/v1/sessions/{}", utf8_percent_encode(id, SEGMENT))
}

fn cursor(page: &PageRequest) -> Result<Option<Cursor>, Problem> {
    page.after.as_deref().map(|text| Cursor::parse(text).ok_or_else(PageRequest::foreign_cursor)).transpose()
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
