//! What is written down of a reservation: whose units, under which quota, how many.

use super::types::{Algorithm, Check, Quota, Subject};
use crate::base::text::Name;
use crate::tenancy::KeyId;
use std::time::Duration;

/// The check that a reservation was allowed.
pub(super) struct Record(Check);

impl Record {
    /// The record of this check. A settlement is never denied.
    pub fn of(check: &Check) -> Record {
        Record(Check { shadow: false, ..check.clone() })
    }

    /// The check.
    pub fn check(self) -> Check {
        self.0
    }

    /// Algorithm, limit, burst, window (ms), cost, and the subject, which may have spaces.
    pub fn write(&self) -> String {
        let Check { subject, quota, cost, .. } = &self.0;
        let (kind, name) = subject.named();
        let (algorithm, limit, burst) = (quota.algorithm().as_str(), quota.limit(), quota.burst());
        format!("{algorithm} {limit} {burst} {} {cost} {kind} {name}", quota.window_millis())
    }

    /// Reads what the scripts made of it: perhaps `settled` and the units, then the end, then what was written.
    pub fn read(stored: &[u8]) -> Option<Record> {
        let stored = std::str::from_utf8(stored).ok()?;
        let open = match stored.strip_prefix("settled ") {
            Some(rest) => rest.split_once(' ')?.1,
            None => stored,
        };
        let mut words = open.splitn(8, ' ').skip(1);
        let algorithm = words.next()?;
        let algorithm = *Algorithm::ALL.iter().find(|known| known.as_str() == algorithm)?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let (limit, burst, window, cost) = (number()?, number()?, number()?, number()?);
        let (kind, name) = (words.next()?, words.next()?);
        let subject = match kind {
            "key" => Subject::Named(Name::parse(name).ok()?),
            _ => Subject::Requests(KeyId::parse(name)?),
        };
        let quota = Quota::new(limit, burst, Duration::from_millis(window), algorithm).ok()?;
        Some(Record(Check { subject, quota, cost, shadow: false }))
    }
}
