//! From decisions to answers: bodies, fields, refusals.

use super::super::bodies::{AnswerBody, ResultBody, ResultsBody};
use super::super::types::{ASK_AGAIN, Check, Decision, Subject, Told};
use super::requests::Ready;
use crate::base::duration::millis;
use crate::base::text::Name;
use crate::http::{Problem, QuotaFields, QuotaStanding};
use actix_web::http::header::HeaderMap;
use std::borrow::Cow;
use std::time::Duration;

/// What was decided of the checks of a call.
pub(super) struct Decided {
    pub(super) ready: Ready,
    pub(super) decisions: Vec<Decision>,
    /// By whom.
    pub(super) by: Told<()>,
}

impl Decided {
    /// Nobody knows, so nothing is allowed.
    pub(super) fn closed(ready: Ready) -> Decided {
        let (reset, retry_after) = (ASK_AGAIN, ASK_AGAIN);
        let denied = |check: &Check| Decision { allowed: false, current: check.quota.limit(), reset, retry_after };
        Decided { decisions: ready.checks.iter().map(denied).collect(), ready, by: Told::Closed }
    }

    fn is_degraded(&self) -> bool {
        self.by != Told::Exact(())
    }

    fn each(&self) -> impl Iterator<Item = (&Check, &Decision)> {
        self.ready.checks.iter().zip(&self.decisions)
    }

    /// Those that were denied, and not by a shadow.
    fn denied(&self) -> impl Iterator<Item = (&Check, &Decision)> {
        self.each().filter(|(check, decision)| !passes(check, decision))
    }

    /// Whether all pass.
    pub(super) fn allowed(&self) -> bool {
        self.denied().next().is_none()
    }

    /// The longest that one of the denied has to wait.
    fn retry_after(&self) -> Duration {
        self.denied().map(|(_, decision)| decision.retry_after).max().unwrap_or_default()
    }

    /// The answer, in the form in which was asked.
    pub(super) fn body(&self) -> AnswerBody<'_> {
        let result = |(check, decision)| result(check, decision, self.is_degraded());
        if let (false, Some(only)) = (self.ready.form.is_several(), self.each().next()) {
            return AnswerBody::One(result(only));
        }
        let with_key = |one: (_, _)| ResultBody { key: key(one.0), ..result(one) };
        let mut violated: Vec<&Name> = Vec::new();
        for name in self.denied().filter_map(|(check, _)| key(check)) {
            if !violated.contains(&name) {
                violated.push(name);
            }
        }
        AnswerBody::Several(ResultsBody {
            allowed: self.allowed(),
            results: self.each().map(with_key).collect(),
            violated,
            retry_after_ms: millis(self.retry_after()),
            degraded: self.is_degraded().then_some(true),
        })
    }

    /// What the checks' policies are called: as they were named, else `default`, by place where there are several.
    fn policies(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let unnamed = self.ready.policies.iter().filter(|policy| policy.is_none()).count();
        self.ready.policies.iter().enumerate().map(move |(place, policy)| match policy {
            Some(name) => name.as_str().to_owned().into(),
            None if unnamed > 1 => format!("default-{}", place + 1).into(),
            None => "default".into(),
        })
    }

    /// Tells of the quotas in these headers. A shadow casts none: whoever minds the fields would be limited by it.
    pub(super) fn tell(&self, fields: QuotaFields, headers: &mut HeaderMap) {
        let told = self.each().zip(self.policies()).filter(|((check, _), _)| !check.shadow);
        let standing = |((check, decision), policy): ((&Check, &Decision), _)| QuotaStanding {
            policy,
            limit: check.quota.limit(),
            window: Duration::from_millis(check.quota.window_millis()),
            remaining: decision.remaining(&check.quota),
            reset: decision.reset,
        };
        fields.write(&told.map(standing).collect::<Vec<_>>(), headers);
    }

    /// The 429.
    pub(super) fn refusal(&self, fields: QuotaFields) -> Problem {
        let each = self.each().zip(self.policies());
        let violated = each.filter(|((check, decision), _)| !passes(check, decision)).map(|(_, policy)| policy.into());
        let mut headers = HeaderMap::new();
        self.tell(fields, &mut headers);
        let problem = Problem::quota_exceeded(violated.collect(), self.retry_after());
        headers.into_iter().fold(problem, |problem, (name, value)| problem.with_header(name, value))
    }
}

/// One result, without its key.
pub(super) fn result(check: &Check, decision: &Decision, degraded: bool) -> ResultBody<'static> {
    let allowed = passes(check, decision);
    ResultBody {
        key: None,
        allowed,
        limit: check.quota.limit(),
        current: decision.current,
        remaining: decision.remaining(&check.quota),
        reset_ms: millis(decision.reset),
        // A shadow makes nobody wait.
        retry_after_ms: if allowed { 0 } else { millis(decision.retry_after) },
        shadow: check.shadow.then_some(true),
        would_deny: check.shadow.then_some(!decision.allowed),
        degraded: degraded.then_some(true),
    }
}

fn passes(check: &Check, decision: &Decision) -> bool {
    decision.allowed || check.shadow
}

fn key(check: &Check) -> Option<&Name> {
    match &check.subject {
        Subject::Named(name) => Some(name),
        Subject::Requests(_) => None,
    }
}
