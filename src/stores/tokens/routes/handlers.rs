//! Tokens: from requests to the store, and from its outcomes to answers.

use super::super::answers::{LeaseAnswer, SummaryAnswer, TokenAnswer};
use super::super::bodies::{BodyFault, LeaseBody, TokenBody};
use super::super::served::Outcome as Refreshed;
use super::super::store::MOST_TOKENS;
use super::super::types::{Deleted, Error, LeaseId, LeaseOutcome, Put, Read};
use super::{OpenTokens, READ};
use crate::base::code::Code;
use crate::base::duration::millis;
use crate::base::text::{Name, SEGMENT};
use crate::http::{
    Actor, Audit, Json, OptionalJson, PageRequest, PathArg, Preconditions, Problem, Request, Scoped, etag, json,
};
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use percent_encoding::utf8_percent_encode;
use std::rc::Rc;

pub(super) type Store = Scoped<OpenTokens>;
pub(super) type Outcome = Result<HttpResponse, Problem>;

pub(super) async fn put(
    Scoped(served): Store,
    PathArg(user): PathArg<Name>,
    PathArg(provider): PathArg<Name, 1>,
    asked: Preconditions,
    (audit, request): (Audit, Rc<Request>),
    Json(body): Json<TokenBody>,
) -> Outcome {
    let (tokens, lease) = (served.tokens()?, lease_of(&request)?);
    let new = body.token(tokens.now())?;
    match tokens.put(&user, &provider, &new, &asked.0, lease.as_ref()).await? {
        Put::Stored { stored, is_new } => {
            audit.secret("token.put", tokens.tenant().as_str(), &[user.as_str(), provider.as_str()]);
            let mut head = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
            if is_new {
                let [user, provider] = [&user, &provider].map(|name| utf8_percent_encode(name.as_str(), SEGMENT));
                head.insert_header((LOCATION, format!("/v1/tokens/{user}/{provider}")));
            }
            json(head.insert_header(etag(stored.version)), &SummaryAnswer::from(*stored))
        }
        Put::VersionMismatch => Err(Preconditions::failed()),
        Put::LeaseLost => Err(Problem::new(Code::LeaseLost, "Nothing was stored: read the token again.")),
        Put::LimitReached => {
            let detail = format!("There may be {MOST_TOKENS}. Delete one first.");
            Err(Problem::new(Code::TokenLimitReached, detail))
        }
    }
}

/// The lease that a request commits.
fn lease_of(request: &Request) -> Result<Option<LeaseId>, Problem> {
    let Some(value) = request.headers().get("x-refresh-lease") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    let wrong = || Problem::new(Code::InvalidHeader, "X-Refresh-Lease must be a lease as it was given.");
    text.map(|text| Some(LeaseId::presented(text))).ok_or_else(wrong)
}

pub(super) async fn read(
    Scoped(served): Store,
    PathArg(user): PathArg<Name>,
    PathArg(provider): PathArg<Name, 1>,
    asked: Preconditions,
    audit: Audit,
) -> Outcome {
    let read = match served.read(&user, &provider).await? {
        Refreshed::Read(read) => read,
        Refreshed::Failed(pause) => {
            let seconds = HeaderValue::from(millis(pause).div_ceil(1000).max(1));
            let problem = Problem::new(Code::TokenRefreshFailed, "The token is past its end. Ask again later.");
            return Err(problem.with_header(RETRY_AFTER, seconds));
        }
    };
    let token = match read {
        Read::Found(token) => token,
        Read::NotFound => return Err(absent()),
        Read::Expired => return Err(expired()),
        Read::Revoked => return Err(revoked()),
    };
    let tag = etag(token.summary.version);
    if asked.0.is_known(token.summary.version) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    audit.secret("token.open", served.tokens.tenant().as_str(), &[user.as_str(), provider.as_str()]);
    json(HttpResponse::Ok().insert_header(tag), &TokenAnswer::from(*token))
}

pub(super) async fn list(Scoped(served): Store, PathArg(user): PathArg<Name>, page: PageRequest) -> Outcome {
    if page.after.as_deref().is_some_and(|after| Name::parse(after).is_err()) {
        return Err(PageRequest::foreign_cursor());
    }
    let listed = served.tokens()?.list(&user, page.after.as_deref(), page.limit).await?;
    page.answer(listed.items.into_iter().map(SummaryAnswer::from).collect(), listed.next.as_deref())
}

pub(super) async fn delete(
    Scoped(served): Store,
    PathArg(user): PathArg<Name>,
    PathArg(provider): PathArg<Name, 1>,
    asked: Preconditions,
    audit: Audit,
) -> Outcome {
    match served.tokens()?.delete(&user, &provider, &asked.0).await? {
        Deleted::Deleted => {
            audit.secret("token.delete", served.tokens.tenant().as_str(), &[user.as_str(), provider.as_str()]);
            Ok(HttpResponse::NoContent().finish())
        }
        Deleted::NotFound => Err(absent()),
        Deleted::VersionMismatch => Err(Preconditions::failed()),
    }
}

pub(super) async fn lease(
    Scoped(served): Store,
    PathArg(user): PathArg<Name>,
    PathArg(provider): PathArg<Name, 1>,
    (actor, audit): (Actor, Audit),
    OptionalJson(body): OptionalJson<LeaseBody>,
) -> Outcome {
    if !actor.may(READ) {
        return Err(Problem::new(
            Code::InsufficientScope,
            format!("This needs the scope {READ} too: the token comes with it."),
        ));
    }
    match LeaseAnswer::new(served.tokens()?.lease(&user, &provider, body.ttl()?).await?) {
        Ok(answer) => {
            if answer.is_granted() {
                audit.secret("token.lease", served.tokens.tenant().as_str(), &[user.as_str(), provider.as_str()]);
            }
            json(&mut HttpResponse::Ok(), &answer)
        }
        Err(LeaseOutcome::Expired) => Err(expired()),
        Err(LeaseOutcome::Revoked) => Err(revoked()),
        Err(_) => Err(absent()),
    }
}

fn absent() -> Problem {
    Problem::new(Code::TokenNotFound, "It was deleted, or never was.")
}

fn expired() -> Problem {
    Problem::new(Code::TokenExpired, "There is no refresh token to get another one with.")
}

fn revoked() -> Problem {
    Problem::new(Code::TokenRevoked, "The user has to consent again; then replace the token.")
}

impl From<BodyFault> for Problem {
    fn from(BodyFault(pointer, detail): BodyFault) -> Self {
        Problem::fault(pointer, detail)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Vault(error) => error.into(),
            Error::Contended => Problem::new(Code::EditConflict, "Try again."),
        }
    }
}
