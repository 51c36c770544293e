//! Checks in several partitions, all or nothing.
//!
//! No script touches two partitions, for they may be two slots of a cluster. So each partition first *holds* what is
//! asked of it, all in one round trip; if every one could, all are counted in a second one, else all are let go. Who
//! dies in between leaves nothing counted, and what is held is free by itself some seconds later. Meanwhile others see
//! it as used: two calls that want the last units of each other's keys may both be denied, never both be allowed.

use super::exchange::{Answer, Exchange};
use super::scripts;
use super::store::RateLimits;
use super::types::{Check, Checked, Decision, Error};
use crate::base::id::random_base62;
use crate::db::{self, Delivery, ErrorKind, Partition, Script};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long what was asked for is held: longer than anybody waits for an answer.
const HELD: Duration = Duration::from_secs(5);
/// Base62 characters of a hold's id: 128 bits and a bit.
pub(super) const ID_LENGTH: usize = 22;

/// The checks of one partition, and where they stand in the call.
struct Part<'a> {
    places: Vec<usize>,
    exchange: Exchange<'a>,
}

impl RateLimits {
    /// Holds in every partition, then counts in every partition.
    pub(super) async fn check_across(&self, checks: &[Check]) -> Result<Checked, Error> {
        let began = Instant::now();
        let id = random_base62(ID_LENGTH)?;
        let parts = self.parts(checks);
        let held = HELD.as_millis().to_string();
        let judged = match self.all(&parts, &scripts::HOLD, &[&id, &held, ""]).await? {
            Checked::Decided(judged) => judged,
            crowded => {
                // What cannot be let go now is free by itself soon; the same below.
                drop(self.all(&parts, &scripts::FINISH, &[&id, "cancel"]).await);
                return Ok(crowded);
            }
        };
        let pass = checks.iter().zip(&judged).all(|(check, decision)| decision.allowed || check.shadow);
        let now = match self.all(&parts, &scripts::FINISH, &[&id, if pass { "count" } else { "cancel" }]).await {
            Ok(Checked::Decided(now)) => now,
            Err(error) if pass => return Err(error),
            _ => judged.clone(),
        };
        if pass && began.elapsed() >= HELD {
            // It may have been free before it was counted.
            return Err(db::Error::new(ErrorKind::TimedOut, Delivery::Unknown).into());
        }
        let both = judged.iter().zip(&now);
        let told = both.map(|(judged, now)| Decision { current: now.current, reset: now.reset, ..*judged });
        Ok(Checked::Decided(told.collect()))
    }

    /// Runs a script over every part, in one round trip.
    async fn all(&self, parts: &[Part<'_>], script: &'static Script, first: &[&str]) -> Result<Checked, Error> {
        let commands = parts.iter().map(|part| part.exchange.command(script, first, None)).collect();
        let mut decided = BTreeMap::new();
        let mut crowded = None;
        for (part, reply) in parts.iter().zip(self.db.pipeline(commands).await?) {
            match part.exchange.read(reply)? {
                Answer::Decided(decisions, _) => decided.extend(part.places.iter().copied().zip(decisions)),
                Answer::Crowded(place) => crowded = crowded.or(part.places.get(place).copied()),
            }
        }
        Ok(crowded.map_or_else(|| Checked::Decided(decided.into_values().collect()), Checked::TooManyWindows))
    }

    /// The checks by partition.
    fn parts<'a>(&self, checks: &'a [Check]) -> Vec<Part<'a>> {
        let mut places: BTreeMap<Partition, Vec<usize>> = BTreeMap::new();
        for (place, check) in checks.iter().enumerate() {
            places.entry(check.subject.partition()).or_default().push(place);
        }
        let part = |(at, places): (Partition, Vec<usize>)| {
            let exchange = Exchange::new(&self.db, at, places.iter().filter_map(|place| checks.get(*place)).collect());
            Part { places, exchange }
        };
        places.into_iter().map(part).collect()
    }
}
