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
        // A shadow denies nothing, whatever it is asked for.
        if self.cost > quota.room() && !shadow {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<Name> {
        Some(Name::parse(text).unwrap())
    }

    fn own() -> Asked {
        let (limit, window) = (Some(10), Some(Duration::from_secs(60)));
        Asked { key: name("k"), limit, window, ..Asked::default() }
    }

    fn named() -> Asked {
        Asked { key: name("k"), policy: name("p"), ..Asked::default() }
    }

    fn policy(limit: u64, burst: u64) -> Policy {
        let quota = Quota::new(limit, burst, Duration::from_secs(1), Algorithm::TokenBucket).unwrap();
        Policy { quota, shadow: true }
    }

    fn blamed<T: std::fmt::Debug>(result: Result<T, QuotaFault>) -> &'static str {
        result.unwrap_err().member
    }

    #[test]
    fn what_is_not_said_is_one_unit_of_a_sliding_window_without_burst() {
        let check = own().question().unwrap().check(None).unwrap();
        assert_eq!((check.cost, check.shadow), (1, false));
        assert_eq!(check.quota, Quota::new(10, 0, Duration::from_secs(60), Algorithm::SlidingWindow).unwrap());
    }

    #[test]
    fn each_member_that_is_missing_or_out_of_bounds_is_the_one_that_is_named() {
        let window = Some(Duration::from_millis(1));
        for (asked, member) in [
            (Asked { key: None, ..own() }, "key"),
            (Asked { limit: None, ..own() }, "limit"),
            (Asked { window: None, ..own() }, "window"),
            (Asked { limit: Some(0), ..own() }, "limit"),
            (Asked { limit: Some(MOST_UNITS + 1), ..own() }, "limit"),
            (Asked { window: Some(Duration::ZERO), ..own() }, "window"),
            (Asked { burst: Some(MOST_UNITS + 1), ..own() }, "burst"),
            (Asked { cost: Some(0), ..own() }, "cost"),
            (Asked { cost: Some(1 << 53), ..own() }, "cost"),
            (Asked { limit: Some(1), ..named() }, "limit"),
            (Asked { window, ..named() }, "window"),
            (Asked { burst: Some(0), ..named() }, "burst"),
            (Asked { algorithm: Some(Algorithm::SlidingWindow), ..named() }, "algorithm"),
        ] {
            assert_eq!(blamed(asked.clone().question()), member, "{asked:?}");
        }
    }

    #[test]
    fn a_cost_may_be_limit_and_burst_together_and_no_more() {
        let asked = |cost| Asked { burst: Some(5), cost: Some(cost), ..own() }.question().unwrap();
        assert_eq!(asked(15).check(None).unwrap().cost, 15);
        assert_eq!(blamed(asked(16).check(None)), "cost");
        let named = |cost| Asked { cost: Some(cost), ..named() }.question().unwrap();
        let strict = Policy { shadow: false, ..policy(2, 1) };
        assert_eq!(named(3).check(Some(strict)).unwrap().cost, 3);
        assert_eq!(blamed(named(4).check(Some(strict))), "cost");
        assert_eq!(named(4).check(Some(policy(2, 1))).unwrap().cost, 4, "a shadow denies nothing");
    }

    #[test]
    fn the_terms_are_the_policys_where_one_is_named() {
        let question = named().question().unwrap();
        assert_eq!(question.policy(), name("p").as_ref());
        assert_eq!(blamed(question.clone().check(None)), "policy");
        let check = question.check(Some(policy(2, 1))).unwrap();
        assert_eq!((check.quota, check.shadow), (policy(2, 1).quota, true));
    }

    #[test]
    fn the_members_that_are_there_are_told() {
        assert_eq!(named().members().collect::<Vec<_>>(), ["key", "policy"]);
        let all = Asked { burst: Some(1), cost: Some(1), algorithm: Some(Algorithm::FixedWindow), ..own() };
        assert_eq!(all.members().collect::<Vec<_>>(), ["limit", "window", "burst", "algorithm", "key", "cost"]);
        assert_eq!(Asked::default().members().count(), 0);
    }
}
