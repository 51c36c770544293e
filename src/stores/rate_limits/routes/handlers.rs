//! Checks: from requests to the store, and from its outcomes to answers.

use super::super::bodies::ChecksBody;
use super::super::types::{Check, Checked, Error, QuotaFault, Subject, Told};
use super::answers::{Decided, result};
use super::requests::{Asking, Ready};
use super::{Limiting, OpenRateLimits, WEIGH_AS_ONE};
use crate::base::code::Code;
use crate::http::{Fault, Json, Problem, Query, Scoped, Weight, json};
use actix_web::HttpResponse;

pub(super) type Store = Scoped<OpenRateLimits>;
pub(super) type Outcome = Result<HttpResponse, Problem>;

pub(super) async fn check(Scoped(limiting): Store, weight: Weight, Json(body): Json<ChecksBody>) -> Outcome {
    let asking = Asking::of_body(body)?;
    weight.is(asking.len().div_ceil(WEIGH_AS_ONE));
    json(&mut HttpResponse::Ok(), &decide(&limiting, asking).await?.body())
}

pub(super) async fn enforce(Scoped(limiting): Store, weight: Weight, Json(body): Json<ChecksBody>) -> Outcome {
    let asking = Asking::of_body(body)?;
    weight.is(asking.len().div_ceil(WEIGH_AS_ONE));
    enforced(&limiting, asking).await
}

pub(super) async fn enforce_query(Scoped(limiting): Store, query: Query) -> Outcome {
    enforced(&limiting, Asking::of_query(&query)?).await
}

async fn enforced(limiting: &Limiting, asking: Asking) -> Outcome {
    let decided = decide(limiting, asking).await?;
    if !decided.allowed() {
        return Err(if decided.by == Told::Closed { closed() } else { decided.refusal(limiting.fields) });
    }
    let mut answer = json(&mut HttpResponse::Ok(), &decided.body())?;
    decided.tell(limiting.fields, answer.headers_mut());
    Ok(answer)
}

pub(super) async fn peek(Scoped(limiting): Store, query: Query) -> Outcome {
    let ready = Asking::of_query(&query)?.ready(&limiting.policies).await?;
    let check = only(&ready)?;
    let (decision, degraded) = match limiting.limits.peek(check).await? {
        Told::Exact(decision) => (decision, false),
        Told::Approximate(decision) => (decision, true),
        Told::Closed => return Err(closed()),
    };
    json(&mut HttpResponse::Ok(), &result(check, &decision, degraded))
}

pub(super) async fn reset(Scoped(limiting): Store, query: Query) -> Outcome {
    let asking = Asking::of_query(&query)?;
    let key = asking.key().ok_or_else(|| {
        let fault = Fault { pointer: "key".to_owned(), detail: "is missing".to_owned() };
        Problem::invalid(Code::InvalidQuery, vec![fault])
    })?;
    // Whether anything was used is nobody's concern.
    limiting.limits.reset(&Subject::Named(key)).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn decide(limiting: &Limiting, asking: Asking) -> Result<Decided, Problem> {
    let ready = asking.ready(&limiting.policies).await?;
    let (checked, by) = match limiting.limits.check(&ready.checks).await? {
        Told::Exact(checked) => (checked, Told::Exact(())),
        Told::Approximate(checked) => (checked, Told::Approximate(())),
        Told::Closed => return Ok(Decided::closed(ready)),
    };
    match checked {
        Checked::Decided(decisions) => Ok(Decided { ready, decisions, by }),
        Checked::TooManyWindows(place) => Err(too_many_windows(&ready, place)),
    }
}

/// The check of a request that has one.
pub(super) fn only(ready: &Ready) -> Result<&Check, Problem> {
    ready.checks.first().ok_or_else(|| Problem::new(Code::Internal, "The request could not be completed."))
}

pub(super) fn too_many_windows(ready: &Ready, place: usize) -> Problem {
    let fault = QuotaFault { member: "window", detail: "is one more than the 32 that a key may be limited over" };
    ready.form.problem_of(Code::TooManyWindows, vec![(place, fault)])
}

fn closed() -> Problem {
    Problem::new(Code::BackendUnavailable, "Nothing is allowed while limits cannot be checked.")
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Backend(error) => error.into(),
            Error::NoRandomness => crate::base::id::NoRandomness.into(),
        }
    }
}
