//! Policies: from requests to the store, and from its outcomes to answers.

use super::super::bodies::{PolicyAnswer, PolicyBody};
use super::super::policies::{MOST_POLICIES, Policy, PutPolicyOutcome};
use super::super::question::quota;
use super::handlers::{Outcome, Store};
use crate::base::code::Code;
use crate::base::text::Name;
use crate::http::{Json, PageRequest, PathArg, Problem, Scoped, json};
use actix_web::HttpResponse;

pub(super) async fn put(
    Scoped(limiting): Store,
    PathArg(name): PathArg<Name>,
    Json(body): Json<PolicyBody>,
) -> Outcome {
    let algorithm = body.algorithm.map(|word| word.0);
    let quota = quota(Some(body.limit), Some(body.window.0), body.burst, algorithm)
        .map_err(|fault| Problem::fault(&format!("/{}", fault.member), fault.detail))?;
    let policy = Policy { quota, shadow: body.shadow };
    let mut head = match limiting.policies.put(&name, policy).await? {
        PutPolicyOutcome::Created => HttpResponse::Created(),
        PutPolicyOutcome::Replaced => HttpResponse::Ok(),
        PutPolicyOutcome::LimitReached => {
            let detail = format!("There may be {MOST_POLICIES}. Delete one first.");
            return Err(Problem::new(Code::PolicyLimitReached, detail));
        }
    };
    json(&mut head, &described(&name, &policy))
}

pub(super) async fn read(Scoped(limiting): Store, PathArg(name): PathArg<Name>) -> Outcome {
    let policy = limiting.policies.read(&name).await?.ok_or_else(absent)?;
    json(&mut HttpResponse::Ok(), &described(&name, &policy))
}

pub(super) async fn delete(Scoped(limiting): Store, PathArg(name): PathArg<Name>) -> Outcome {
    if limiting.policies.delete(&name).await? { Ok(HttpResponse::NoContent().finish()) } else { Err(absent()) }
}

pub(super) async fn list(Scoped(limiting): Store, page: PageRequest) -> Outcome {
    if page.after.as_deref().is_some_and(|after| Name::parse(after).is_err()) {
        return Err(PageRequest::foreign_cursor());
    }
    let listed = limiting.policies.list(page.after.as_deref(), page.limit).await?;
    let items = listed.items.iter().map(|(name, policy)| described(name, policy)).collect();
    page.answer::<PolicyAnswer<'_>>(items, listed.next.as_deref())
}

fn absent() -> Problem {
    Problem::new(Code::PolicyNotFound, "It was deleted, or never was.")
}

fn described<'a>(name: &'a Name, Policy { quota, shadow }: &Policy) -> PolicyAnswer<'a> {
    let window_ms = quota.window_millis();
    PolicyAnswer {
        name,
        limit: quota.limit(),
        window: if window_ms % 1000 == 0 { format!("{}s", window_ms / 1000) } else { format!("{window_ms}ms") },
        window_ms,
        burst: quota.burst(),
        algorithm: quota.algorithm(),
        shadow: *shadow,
    }
}
