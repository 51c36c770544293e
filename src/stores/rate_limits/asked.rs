//! A check on its way from a request to the store: what of it makes sense, and on which terms it is judged. The same
//! for bodies and for queries, which differ in how they point at a fault.

use super::policies::Policy;
use super::types::{Algorithm, Check, MOST_UNITS, Quota, QuotaFault, Subject};
use crate::base::text::Name;
use std::time::Duration;

/// The members of a check as they came, of the right types and nothing more.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) key: Option<Name>,
    pub(super) limit: Option<u64>,
    pub(super) window: Option<Duration>,
    pub(super) burst: Option<u64>,
    pub(super) cost: Option<u64>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) policy: Option<Name>,
}

/// A check whose members go together.
#[derive(Debug, Clone)]
pub(super) struct Question {
    key: Name,
    cost: u64,
    terms: Terms,
}

#[derive(Debug, Clone)]
enum Terms {
    Own(Quota),
    Policy(Name),
}

/// Shared by all members that must be there.
const MISSING: &str = "is missing";

impl Asked {
    /// The members that are there.
    pub(super) fn members(&self) -> impl Iterator<Item = &'static str> {
        let others = [("key", self.key.is_some()), ("cost", self.cost.is_some()), ("policy", self.policy.is_some())];
        self.terms().chain(there(others))
    }

    /// The members that are there of those that a policy says.
    fn terms(&self) -> impl Iterator<Item = &'static str> + use<> {
        there([
            ("limit", self.limit.is_some()),
            ("window", self.window.is_some()),
            ("burst", self.burst.is_some()),
            ("algorithm", self.algorithm.is_some()),
        ])
    }

    /// Judges the members.
    ///
    /// # Errors
    /// The member that is missing, out of bounds, or does not go with the others.
    pub(super) fn question(self) -> Result<Question, QuotaFault> {
        let term = self.terms().next();
        let Some(key) = self.key else { return fault("key", MISSING) };
        let cost = self.cost.unwrap_or(1);
        if !(1..=MOST_UNITS).contains(&cost) {
            return fault("cost", "must be from 1 to 1000000000000");
        }
        let terms = match (self.policy, term) {
            (Some(_), Some(member)) => return fault(member, "is the policy's to say"),
            (Some(policy), None) => Terms::Policy(policy),
            (None, _) => Terms::Own(quota(self.limit, self.window, self.burst, self.algorithm)?),
        };
        Ok(Question { key, cost, terms })
    }
}

impl Question {
    /// The policy whose terms these are.
    pub(super) fn policy(&self) -> Option<&Name> {
        match &self.terms {
            Terms::Own(_) => None,
            Terms::Policy(name) => Some(name),
        }
    }

    /// The check, with what its policy says, if it names one.
    ///
    /// # Errors
    /// The policy where there is none, and a cost that these terms could never allow.
    pub(super) fn check(self, policy: Option<Policy>) -> Result<Check, QuotaFault> {
        let (quota, shadow) = match (self.terms, policy) {
            (Terms::Own(quota), _) => (quota, false),
            (Terms::Policy(_), Some(policy)) => (policy.quota, policy.shadow),
            (Terms::Policy(_), None) => return fault("policy", "is not known"),
        };
        if self.cost > quota.room() {
            return fault("cost", "is more than limit and burst together, so it could never be allowed");
        }
        Ok(Check { subject: Subject::Named(self.key), quota, cost: self.cost, shadow })
    }
}

/// A quota of members as they came.
///
/// # Errors
/// The member that is missing, or that no quota has.
pub(super) fn quota(
    limit: Option<u64>,
    window: Option<Duration>,
    burst: Option<u64>,
    algorithm: Option<Algorithm>,
) -> Result<Quota, QuotaFault> {
    let Some(limit) = limit else { return fault("limit", MISSING) };
    let Some(window) = window else { return fault("window", MISSING) };
    Quota::new(limit, burst.unwrap_or(0), window, algorithm.unwrap_or_default())
}

fn there<const N: usize>(members: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    members.into_iter().filter(|(_, is_there)| *is_there).map(|(member, _)| member)
}

fn fault<T>(member: &'static str, detail: &'static str) -> Result<T, QuotaFault> {
    Err(QuotaFault { member, detail })
}
