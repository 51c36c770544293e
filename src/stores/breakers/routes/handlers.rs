//! From requests to the store, and from its outcomes to answers.

use super::super::answers::{AcquireAnswer, BreakerAnswer, ReportAnswer};
use super::super::bodies::{AcquireBody, BodyFault, ForceBody, ReportBody, SettingsBody};
use super::super::served::Served;
use super::super::types::{Breaker, Error};
use super::OpenBreakers;
use crate::base::code::Code;
use crate::base::text::Name;
use crate::http::{Actor, Json, OptionalJson, PageRequest, PathArg, Problem, Scoped, json};
use actix_web::HttpResponse;

type Store = Scoped<OpenBreakers>;
type Outcome = Result<HttpResponse, Problem>;

pub(super) async fn list(Scoped(breakers): Store, page: PageRequest) -> Outcome {
    let (found, next) = breakers.list(page.after.as_deref(), page.limit).await?;
    let found = found.into_iter().map(|breaker| shown(&breakers, breaker)).collect();
    page.answer(found, next.as_deref())
}

pub(super) async fn configure(
    Scoped(breakers): Store,
    PathArg(name): PathArg<Name>,
    Json(body): Json<SettingsBody>,
) -> Outcome {
    let policy = body.policy(breakers.default_policy())?;
    answered(&breakers, breakers.configure(&name, &policy).await?)
}

pub(super) async fn read(Scoped(breakers): Store, PathArg(name): PathArg<Name>) -> Outcome {
    answered(&breakers, breakers.read(&name).await?)
}

pub(super) async fn forget(Scoped(breakers): Store, PathArg(name): PathArg<Name>) -> Outcome {
    breakers.forget(&name).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn acquire(
    Scoped(breakers): Store,
    PathArg(name): PathArg<Name>,
    OptionalJson(body): OptionalJson<AcquireBody>,
) -> Outcome {
    let acquired = breakers.acquire(&name, body.instance.as_ref()).await?;
    json(&mut HttpResponse::Ok(), &AcquireAnswer::new(acquired, breakers.is_degraded()))
}

pub(super) async fn report(
    Scoped(breakers): Store,
    PathArg(name): PathArg<Name>,
    Json(body): Json<ReportBody>,
) -> Outcome {
    let reported = breakers.report(&name, &body.report()?).await?;
    json(&mut HttpResponse::Ok(), &ReportAnswer::new(reported, breakers.is_degraded()))
}

pub(super) async fn force(
    Scoped(breakers): Store,
    PathArg(name): PathArg<Name>,
    actor: Actor,
    Json(body): Json<ForceBody>,
) -> Outcome {
    let force = body.force(actor.to_string())?;
    answered(&breakers, breakers.force(&name, &force).await?)
}

fn answered(breakers: &Served, breaker: Breaker) -> Outcome {
    json(&mut HttpResponse::Ok(), &shown(breakers, breaker))
}

fn shown(breakers: &Served, breaker: Breaker) -> BreakerAnswer {
    BreakerAnswer::new(breaker, breakers.default_policy(), breakers.now(), breakers.is_degraded())
}

impl From<BodyFault> for Problem {
    fn from(BodyFault(pointer, detail): BodyFault) -> Self {
        Problem::fault(pointer, detail)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Backend(error) => error.into(),
            Error::TooMany => Problem::new(Code::BreakerLimitReached, "Forget one of them first."),
            Error::NoRandomness => crate::base::id::NoRandomness.into(),
        }
    }
}
