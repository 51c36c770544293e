//! What requests carry and answers look like: the shapes of the HTTP API, from which it is described.

use super::question::Asked;
use super::types::Algorithm;
use crate::base::clock::Timestamp;
use crate::base::duration::DurationField;
use crate::base::object::Object;
use crate::base::text::Name;
use crate::base::word::Word;
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The most checks in one call.
pub(super) const MOST_CHECKS: usize = 32;

macro_rules! check_body {
    ($(#[$doc:meta])* $name:ident, $key:ty, { $($(#[$more_doc:meta])* $more:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            /// Whose uses are counted.
            pub(super) key: $key,
            /// Units in a window.
            #[schemars(range(min = 1, max = 1_000_000_000_000u64))]
            pub(super) limit: Option<u64>,
            /// At least a millisecond, at most 366 days.
            pub(super) window: Option<DurationField>,
            /// Units beyond the limit; none when not given.
            #[schemars(range(max = 1_000_000_000_000u64))]
            pub(super) burst: Option<u64>,
            /// Units that are asked for; one when not given.
            #[schemars(range(min = 1, max = 1_000_000_000_000u64))]
            pub(super) cost: Option<u64>,
            pub(super) algorithm: Option<Word<Algorithm>>,
            /// The policy that says limit, window, burst and algorithm, in place of these members.
            pub(super) policy: Option<Name>,
            $($(#[$more_doc])* pub(super) $more: $type,)*
        }

        impl $name {
            /// The members that every check has.
            pub(super) fn asked(self) -> Asked {
                Asked {
                    key: self.key.into(),
                    limit: self.limit,
                    window: self.window.map(|DurationField(window)| window),
                    burst: self.burst,
                    cost: self.cost,
                    algorithm: self.algorithm.map(|Word(algorithm)| algorithm),
                    policy: self.policy,
                }
            }
        }
    };
}

check_body! {
    /// One check of several.
    CheckBody, Name, {}
}

check_body! {
    /// One check, or `checks` alone.
    ChecksBody, Option<Name>, {
        /// Several checks: all are counted, or none is.
        checks: Option<Checks>,
    }
}

check_body! {
    /// A check, and for how long what it asks for is held.
    ReserveBody, Name, {
        /// From 1 s to 1 h; 60 s when not given.
        ttl: Option<DurationField>,
    }
}

/// From 1 to 32 checks; what is more is not read.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(super) struct Checks(#[schemars(length(min = 1, max = 32))] pub(super) Vec<CheckBody>);

impl<'de> Deserialize<'de> for Checks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Checks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of checks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checks, A::Error> {
                let mut checks = Vec::new();
                while let Some(Object(check)) = items.next_element()? {
                    if checks.len() == MOST_CHECKS {
                        return Err(A::Error::custom("must have from 1 to 32 checks"));
                    }
                    checks.push(check);
                }
                Ok(Checks(checks))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

/// What was used of a reservation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommitBody {
    /// Units; they count even beyond the limit.
    #[schemars(range(max = 1_000_000_000_000u64))]
    pub(super) cost: u64,
}

/// The terms of a policy.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyBody {
    /// Units in a window.
    #[schemars(range(min = 1, max = 1_000_000_000_000u64))]
    pub(super) limit: u64,
    /// At least a millisecond, at most 366 days.
    pub(super) window: DurationField,
    /// Units beyond the limit; none when not given.
    #[schemars(range(max = 1_000_000_000_000u64))]
    pub(super) burst: Option<u64>,
    pub(super) algorithm: Option<Word<Algorithm>>,
    /// Counts, and never denies.
    #[serde(default)]
    pub(super) shadow: bool,
}

/// The answer to one check.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimitResult")]
pub(super) struct ResultBody<'a> {
    /// Where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<&'a Name>,
    pub(super) allowed: bool,
    /// Units in a window.
    pub(super) limit: u64,
    /// What is used now, with what was just counted.
    pub(super) current: u64,
    /// What is left of the limit; the burst is on top of it.
    pub(super) remaining: u64,
    /// Until quota comes back.
    pub(super) reset_ms: u64,
    /// Until this could be allowed; 0 when it was.
    pub(super) retry_after_ms: u64,
    /// `true` where the policy never denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shadow: Option<bool>,
    /// Whether such a policy would have denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) would_deny: Option<bool>,
    /// `true` where the backend cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) degraded: Option<bool>,
}

/// The answer to several checks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimitResults")]
pub(super) struct ResultsBody<'a> {
    /// Whether all were, and so were counted.
    pub(super) allowed: bool,
    /// Each on its own, in order.
    pub(super) results: Vec<ResultBody<'a>>,
    /// The keys of those that were denied.
    pub(super) violated: Vec<&'a Name>,
    /// The longest of theirs.
    pub(super) retry_after_ms: u64,
    /// `true` where the backend cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) degraded: Option<bool>,
}

/// The answer to a call: as it asked for one check or for several.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "RateLimitAnswer")]
pub(super) enum AnswerBody<'a> {
    One(ResultBody<'a>),
    Several(ResultsBody<'a>),
}

/// What became of a wish to reserve.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReservedBody<'a> {
    /// Its id, where it was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reservation: Option<&'a Name>,
    /// When it frees itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
    #[serde(flatten)]
    pub(super) result: ResultBody<'a>,
}

/// How a reservation ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct SettledBody {
    pub(super) reservation: Name,
    pub(super) state: ReservationState,
    /// Units that were counted.
    pub(super) cost: u64,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReservationState {
    Committed,
    Cancelled,
}

/// A policy as it is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RateLimitPolicy")]
pub(super) struct PolicyAnswer<'a> {
    pub(super) name: &'a Name,
    pub(super) limit: u64,
    /// As it is written in a request.
    pub(super) window: String,
    pub(super) window_ms: u64,
    pub(super) burst: u64,
    pub(super) algorithm: Algorithm,
    pub(super) shadow: bool,
}
