//! Providers: from requests to the store, and from its outcomes to answers.

use super::super::answers::ProviderAnswer;
use super::super::bodies::ProviderBody;
use super::super::providers::{MOST_PROVIDERS, Provider};
use super::super::types::{Deleted, Put};
use super::READ;
use super::handlers::{Outcome, Store};
use crate::base::code::Code;
use crate::base::text::{Name, SEGMENT};
use crate::http::{Actor, Audit, Json, PageRequest, PathArg, Preconditions, Problem, Scoped, etag, json};
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use percent_encoding::utf8_percent_encode;

pub(super) async fn put(
    Scoped(served): Store,
    PathArg(name): PathArg<Name>,
    asked: Preconditions,
    (actor, audit): (Actor, Audit),
    Json(body): Json<ProviderBody>,
) -> Outcome {
    if !actor.may(READ) {
        let detail = format!("This needs the scope {READ} too: refresh tokens are sent where it says.");
        return Err(Problem::new(Code::InsufficientScope, detail));
    }
    let (settings, client_secret) = body.provider(served.refreshing.outbound())?;
    match served.providers()?.put(&name, settings, client_secret, &asked.0).await? {
        Put::Stored { stored, is_new } => {
            served.refreshing.forget(served.tokens.tenant(), &name);
            audit.secret("provider.put", served.tokens.tenant().as_str(), &[name.as_str()]);
            let mut head = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
            if is_new {
                let name = utf8_percent_encode(name.as_str(), SEGMENT);
                head.insert_header((LOCATION, format!("/v1/oauth/providers/{name}")));
            }
            json(head.insert_header(etag(stored.version)), &ProviderAnswer::from(*stored))
        }
        Put::VersionMismatch | Put::LeaseLost => Err(Preconditions::failed()),
        Put::LimitReached => {
            let detail = format!("There may be {MOST_PROVIDERS}. Delete one first.");
            Err(Problem::new(Code::ProviderLimitReached, detail))
        }
    }
}

pub(super) async fn read(Scoped(served): Store, PathArg(name): PathArg<Name>, asked: Preconditions) -> Outcome {
    let provider = served.providers()?.read(&name).await?.ok_or_else(absent)?.provider;
    let tag = etag(provider.version);
    if asked.0.is_known(provider.version) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    if !asked.0.holds(Some(provider.version)) {
        return Err(Preconditions::failed());
    }
    json(HttpResponse::Ok().insert_header(tag), &ProviderAnswer::from(provider))
}

pub(super) async fn list(Scoped(served): Store, page: PageRequest) -> Outcome {
    if page.after.as_deref().is_some_and(|after| Name::parse(after).is_err()) {
        return Err(PageRequest::foreign_cursor());
    }
    let (found, next): (Vec<Provider>, _) = served.providers()?.list(page.after.as_deref(), page.limit).await?;
    page.answer(found.into_iter().map(ProviderAnswer::from).collect(), next.as_deref())
}

pub(super) async fn delete(
    Scoped(served): Store,
    PathArg(name): PathArg<Name>,
    asked: Preconditions,
    audit: Audit,
) -> Outcome {
    match served.providers()?.delete(&name, &asked.0).await? {
        Deleted::Deleted => {
            served.refreshing.forget(served.tokens.tenant(), &name);
            audit.secret("provider.delete", served.tokens.tenant().as_str(), &[name.as_str()]);
            Ok(HttpResponse::NoContent().finish())
        }
        Deleted::NotFound => Err(absent()),
        Deleted::VersionMismatch => Err(Preconditions::failed()),
    }
}

fn absent() -> Problem {
    Problem::new(Code::ProviderNotFound, "It was deleted, or never was.")
}
