//! Looking at a backend closely: how fast it answers, whether it keeps what it is told, what it tells of itself. Few
//! commands, one after the other, and none any more after the first that fails: who is ill is not helped by being asked.

use super::command::{Command, Expiry};
use super::database::SystemDb;
use super::error::Error;
use super::key::Family;
use super::server_info::ServerInfo;
use super::slow_log::SlowCommand;
use crate::base::id;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// How often it is asked for its time.
const PINGS: usize = 20;
/// How long what the check writes stays, should it not be deleted.
const KEPT: Duration = Duration::from_secs(60);

const CHECK: Family = Family {
    name: "examination",
    parts: "random",
    kind: "string",
    routed_by: "nothing",
    lives: "a moment, 60 s at the most",
    holds: "a random token, written, read and deleted to see that the backend does so",
    stays: Some("it lives for a moment"),
};

/// The families of keys that looking at the backend writes.
pub const EXAMINATION_FAMILIES: &[&Family] = &[&CHECK];

/// How long answers took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Of how many answers.
    pub count: usize,
    /// The shortest.
    pub min: Duration,
    /// Half of them took no longer.
    pub median: Duration,
    /// Of a hundred, 99 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    fn of(mut took: Vec<Duration>) -> Option<Latency> {
        took.sort();
        let at = |per_cent: usize| took.get((took.len() * per_cent).div_ceil(100).saturating_sub(1)).copied();
        let (min, max) = (took.first().copied()?, took.last().copied()?);
        Some(Latency { count: took.len(), min, median: at(50)?, p99: at(99)?, max })
    }
}

/// What was found.
#[derive(Debug)]
pub struct Examination {
    /// How fast it answers.
    pub latency: Result<Latency, Error>,
    /// By how much its clock is ahead of this process's, ms; to about half of the fastest answer.
    pub clock_ahead: Option<i64>,
    /// Whether it gave back what was written, and had it no more when it was deleted.
    pub keeps: Result<bool, Error>,
    /// What it tells of itself.
    pub info: Result<ServerInfo, Error>,
    /// Its last slow commands, the newest first.
    pub slow_log: Result<Vec<SlowCommand>, Error>,
}

impl Examination {
    /// One in which all that was asked failed like this.
    pub fn none(error: &Error) -> Examination {
        Examination {
            latency: Err(error.clone()),
            clock_ahead: None,
            keeps: Err(error.clone()),
            info: Err(error.clone()),
            slow_log: Err(error.clone()),
        }
    }

    /// The first failure, whatever was asked; but for the slow log, which a backend that serves well may refuse.
    pub fn failure(&self) -> Option<&Error> {
        self.latency.as_ref().err().or(self.keeps.as_ref().err()).or(self.info.as_ref().err())
    }
}

impl SystemDb {
    /// Looks at the backend, within this handle's deadline.
    pub async fn examine(&self) -> Examination {
        let (mut took, mut ahead) = (Vec::with_capacity(PINGS), None::<(Duration, i64)>);
        for _ in 0..PINGS {
            match self.ping().await {
                Ok((time, difference)) => {
                    took.push(time);
                    if ahead.is_none_or(|(fastest, _)| time < fastest) {
                        ahead = Some((time, difference));
                    }
                }
                Err(error) => {
                    return Examination::none(&error);
                }
            }
        }
        let latency = Latency::of(took).ok_or(Error::unexpected("an answer"));
        let keeps = self.check().await;
        let info = self.info().await;
        let slow_log = self.slow_log().await;
        Examination { latency, clock_ahead: ahead.map(|(_, difference)| difference), keeps, info, slow_log }
    }

    /// How long it took to tell its time, and how far ahead that was halfway, ms.
    async fn ping(&self) -> Result<(Duration, i64), Error> {
        let (asked, began) = (self.local_now(), Instant::now());
        let [seconds, micros] = self.run(Command::time()).await?.array_of()?;
        let took = began.elapsed();
        let told = seconds.count()?.saturating_mul(1000).saturating_add(micros.count()? / 1000);
        let halfway = (asked + took / 2).as_millis();
        let difference = i128::from(told) - i128::from(halfway);
        Ok((took, i64::try_from(difference).unwrap_or(i64::MAX)))
    }

    /// Writes, reads and deletes.
    async fn check(&self) -> Result<bool, Error> {
        let token = id::random_base62(id::SECRET_LENGTH).map_err(|_| Error::unexpected("randomness"))?;
        let key = self.key(&CHECK, &[&token]);
        self.run(Command::set(&key, token.clone(), Expiry::After(KEPT))).await?.done()?;
        let read = self.run(Command::get(&key)).await?.optional_bytes()?;
        let deleted = self.run(Command::del(&key)).await?.int()?;
        Ok(read == Some(Bytes::from(token)) && deleted == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::db::transport::memory::Memory;
    use crate::db::{BackendClock, Database};
    use std::sync::Arc;

    #[test]
    fn of_a_hundred_answers_ninety_nine_take_no_longer_than_p99() {
        let millis = Duration::from_millis;
        let latency = Latency::of((1..=100).rev().map(millis).collect()).unwrap();
        let expected = Latency { count: 100, min: millis(1), median: millis(50), p99: millis(99), max: millis(100) };
        assert_eq!(latency, expected);
        let one = Latency::of(vec![millis(7)]).unwrap();
        assert_eq!((one.min, one.median, one.p99, one.max), (millis(7), millis(7), millis(7), millis(7)));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[tokio::test]
    async fn a_backend_is_examined_without_a_trace_and_the_difference_of_clocks_is_told() {
        let (here, there) = (ManualClock::at(Timestamp::from_millis(10_000)), Timestamp::from_millis(3_610_000));
        let memory = Arc::new(Memory::new(Arc::new(ManualClock::at(there))));
        let system = Database::new(memory, "t", BackendClock::new(Arc::new(here))).system();
        let found = system.examine().await;
        assert!(found.failure().is_none(), "{found:?}");
        assert!((3_599_000..=3_600_000).contains(&found.clock_ahead.unwrap()), "{found:?}");
        assert_eq!((found.keeps, found.info.unwrap().keys), (Ok(true), Some(0)));
        assert_eq!(found.latency.unwrap().count, PINGS);
    }
}
