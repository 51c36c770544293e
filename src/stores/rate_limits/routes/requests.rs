//! From what a client sent to checks that the store takes, or to a problem that points at every fault.

use super::super::Algorithm;
use super::super::bodies::{CheckBody, Checks, ChecksBody};
use super::super::policies::{Policies, Policy};
use super::super::question::Asked;
use super::super::types::{Check, QuotaFault};
use crate::base::code::Code;
use crate::base::duration;
use crate::base::text::Name;
use crate::http::{Fault, Problem, Query};

/// How the checks were sent, which says how their members are pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Query,
    One,
    Several,
}

impl Form {
    /// Whether there may be more than one.
    pub(super) fn is_several(self) -> bool {
        self == Form::Several
    }

    /// Where a member of the check at this place stands.
    fn pointer(self, place: usize, member: &str) -> String {
        match self {
            Form::Query => member.to_owned(),
            Form::One => format!("/{member}"),
            Form::Several => format!("/checks/{place}/{member}"),
        }
    }

    /// The problem with these faults, each with the place of its check.
    pub(super) fn problem_of(self, code: Code, faults: Vec<(usize, QuotaFault)>) -> Problem {
        let fault = |(place, QuotaFault { member, detail })| Fault {
            pointer: self.pointer(place, member),
            detail: String::from(detail),
        };
        Problem::invalid(code, faults.into_iter().map(fault).collect())
    }

    fn problem(self, faults: Vec<(usize, QuotaFault)>) -> Problem {
        let code = if self == Form::Query { Code::InvalidQuery } else { Code::ValidationFailed };
        self.problem_of(code, faults)
    }
}

/// The checks of a request.
pub(super) struct Asking {
    form: Form,
    asked: Vec<Asked>,
}

/// Checks for the store, in the order in which they were sent.
pub(super) struct Ready {
    pub(super) form: Form,
    pub(super) checks: Vec<Check>,
    /// The policy that each names.
    pub(super) policies: Vec<Option<Name>>,
}

impl Asking {
    /// One check, sent so.
    pub(super) fn one(form: Form, asked: Asked) -> Asking {
        Asking { form, asked: vec![asked] }
    }

    /// One check or several.
    ///
    /// # Errors
    /// 422 where it is both, or neither.
    pub(super) fn of_body(mut body: ChecksBody) -> Result<Asking, Problem> {
        let Some(Checks(checks)) = body.checks.take() else { return Ok(Asking::one(Form::One, body.asked())) };
        let one = body.asked();
        let beside = |member| Fault { pointer: format!("/{member}"), detail: "does not go with checks".to_owned() };
        let beside: Vec<Fault> = one.members().map(beside).collect();
        if !beside.is_empty() {
            return Err(Problem::invalid(Code::ValidationFailed, beside));
        }
        if checks.is_empty() {
            return Err(Problem::fault("/checks", "must have from 1 to 32 checks"));
        }
        Ok(Asking { form: Form::Several, asked: checks.into_iter().map(CheckBody::asked).collect() })
    }

    /// One check in the query.
    ///
    /// # Errors
    /// 400 for a parameter of another type.
    pub(super) fn of_query(query: &Query) -> Result<Asking, Problem> {
        const NUMBER: &str = "must be a whole number";
        const NAME: &str = "must be 1 to 256 bytes of UTF-8 without control characters";
        let name = |parameter| query.read(parameter, NAME, |text| Name::parse(text).ok());
        let number = |parameter| query.read(parameter, NUMBER, whole_number);
        let algorithm = |text: &str| Algorithm::ALL.iter().copied().find(|known| known.as_str() == text);
        let asked = Asked {
            key: name("key")?,
            limit: number("limit")?,
            window: query.read("window", "is not a duration", |text| duration::parse(text).ok())?,
            burst: number("burst")?,
            cost: number("cost")?,
            algorithm: query.read("algorithm", "is not one of the values that are known", algorithm)?,
            policy: name("policy")?,
        };
        Ok(Asking::one(Form::Query, asked))
    }

    /// The key of the only check.
    pub(super) fn key(mut self) -> Option<Name> {
        self.asked.pop()?.key
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    /// The checks, with the terms of their policies.
    ///
    /// # Errors
    /// 422, or 400 for a query, with every check that makes no sense; 404 where a policy is not known; 503 where that
    /// cannot be told.
    pub(super) async fn ready(self, policies: &Policies) -> Result<Ready, Problem> {
        let form = self.form;
        let questions = all(self.asked.into_iter().map(Asked::question)).map_err(|faults| form.problem(faults))?;
        let names: Vec<Option<Name>> = questions.iter().map(|question| question.policy().cloned()).collect();
        let terms = terms(policies, &names).await?;
        let checks = all(questions.into_iter().zip(terms).map(|(question, terms)| question.check(terms)));
        let checks = checks.map_err(|faults| {
            let (unknown, others): (Vec<_>, _) = faults.into_iter().partition(|(_, fault)| fault.member == "policy");
            if unknown.is_empty() { form.problem(others) } else { form.problem_of(Code::PolicyNotFound, unknown) }
        })?;
        Ok(Ready { form, checks, policies: names })
    }
}

/// What the named policies say, in order; nothing where none is named or none is known.
async fn terms(policies: &Policies, names: &[Option<Name>]) -> Result<Vec<Option<Policy>>, Problem> {
    let named: Vec<&Name> = names.iter().flatten().collect();
    let mut found = policies.find(&named).await?.into_iter();
    Ok(names.iter().map(|name| name.as_ref().and_then(|_| found.next().flatten())).collect())
}

/// All of them, or every fault with its place.
fn all<T>(results: impl Iterator<Item = Result<T, QuotaFault>>) -> Result<Vec<T>, Vec<(usize, QuotaFault)>> {
    let (mut good, mut faults) = (Vec::with_capacity(results.size_hint().0), Vec::new());
    for (place, result) in results.enumerate() {
        match result {
            Ok(one) => good.push(one),
            Err(fault) => faults.push((place, fault)),
        }
    }
    if faults.is_empty() { Ok(good) } else { Err(faults) }
}

/// Digits alone: `u64` would take a sign too.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
