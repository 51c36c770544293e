//! How checks are put to a script, and how its answer is read.

use super::keys;
use super::types::{Algorithm, Check, Decision};
use crate::db::{self, Command, Key, Partition, Reply, Script, TenantDb};
use bytes::Bytes;
use std::time::Duration;

/// More than any limit, and what counters stop at.
const MOST_COUNTED: u64 = 1 << 41;

/// Checks of one partition, with the keys that they concern.
pub(super) struct Exchange<'a> {
    checks: Vec<&'a Check>,
    keys: Vec<Key>,
}

impl<'a> Exchange<'a> {
    /// Checks whose subjects all lie there.
    pub fn new(db: &TenantDb, at: Partition, checks: Vec<&'a Check>) -> Exchange<'a> {
        let mut keys = Vec::with_capacity(checks.len() * 2 + 1);
        for check in &checks {
            keys.push(keys::state(db, at, &check.subject));
            keys.push(keys::holds(db, at, &check.subject));
            if check.quota.algorithm() == Algorithm::SlidingLog {
                keys.push(keys::log(db, at, &check.subject, &check.quota.window_millis().to_string()));
            }
        }
        Exchange { checks, keys }
    }

    /// The script over these checks; `first` are the arguments that come before theirs, `last` a key after theirs.
    pub fn command(&self, script: &'static Script, first: &[&str], last: Option<&Key>) -> Command {
        let keys: Vec<&Key> = self.keys.iter().chain(last).collect();
        let mut command = Command::script(script, &keys);
        for arg in first {
            command = command.arg((*arg).to_owned());
        }
        for (place, check) in self.checks.iter().enumerate() {
            command = argued(command, check, place + 1 == self.checks.len());
        }
        command
    }

    /// Reads what a script answered to them.
    pub fn read(&self, reply: Reply) -> Result<Answer, db::Error> {
        let numbers = reply.array()?.into_iter().map(Reply::count).collect::<Result<Vec<u64>, _>>()?;
        match *numbers.as_slice() {
            [place] => return Ok(Answer::Crowded(usize::try_from(place).unwrap_or(usize::MAX))),
            [current, reset] => {
                let (reset, retry_after) = (Duration::from_millis(reset), Duration::ZERO);
                return Ok(Answer::Decided(vec![Decision { allowed: true, current, reset, retry_after }], None));
            }
            _ => {}
        }
        let (of_checks, rest) = numbers.as_chunks::<4>();
        if of_checks.len() != self.checks.len() {
            return Err(db::Error::unexpected("an answer to each check"));
        }
        let decisions = of_checks.iter().map(|[allowed, current, reset, wait]| Decision {
            allowed: *allowed == 1,
            current: *current,
            reset: Duration::from_millis(*reset),
            retry_after: Duration::from_millis(*wait),
        });
        Ok(Answer::Decided(decisions.collect(), rest.first().copied()))
    }
}

/// What a script answered.
pub(super) enum Answer {
    /// One decision each, and what the script added.
    Decided(Vec<Decision>, Option<u64>),
    /// The check at this place has a subject with too many windows.
    Crowded(usize),
}

/// Appends one check. What a script can do without is left out at the end: it is much of what a check costs.
fn argued(command: Command, check: &Check, last: bool) -> Command {
    let quota = &check.quota;
    let command = command
        .arg(Bytes::from_static(quota.algorithm().as_str().as_bytes()))
        .number(quota.window_millis())
        .number(quota.room())
        .number(check.cost.min(MOST_COUNTED));
    let bucket = quota.algorithm() == Algorithm::TokenBucket;
    if last && !check.shadow && !bucket {
        return command;
    }
    let command = command.arg(Bytes::from_static(if check.shadow { b"shadow" } else { b"" }));
    if !bucket {
        return command.arg(Bytes::new()).arg(Bytes::new());
    }
    let (drops, unit) = quota.drain();
    command.number(drops).number(unit)
}
