//! The rate limits of one tenant: checks, peeks and resets.
//!
//! A check is one script in one round trip, however many checks it has, as long as they lie in one partition.

use super::exchange::{Answer, Exchange};
use super::types::{Check, Checked, Decision, Error, Subject};
use super::{keys, scripts};
use crate::db::{self, Command, TenantDb};

/// How often a reset that finds another log by now tries again.
const ATTEMPTS: usize = 16;

/// The rate limits of one tenant.
#[derive(Clone)]
pub struct RateLimits {
    pub(super) db: TenantDb,
}

impl RateLimits {
    /// The rate limits in a tenant's data.
    pub fn new(db: TenantDb) -> RateLimits {
        RateLimits { db }
    }

    /// Counts all of the checks, or none if one is denied that is not shadowed. 1 to 32 of them; those of one limiter
    /// see each other.
    pub async fn check(&self, checks: &[Check]) -> Result<Checked, Error> {
        let Some(first) = checks.first() else { return Ok(Checked::Decided(Vec::new())) };
        let at = first.subject.partition();
        if !checks.iter().skip(1).all(|check| check.subject.partition() == at) {
            return self.check_across(checks).await;
        }
        let exchange = Exchange::new(&self.db, at, checks.iter().collect());
        Ok(match exchange.read(self.db.run(exchange.command(&scripts::CHECK, &[], None)).await?)? {
            Answer::Decided(decisions, _) => Checked::Decided(decisions),
            Answer::Crowded(place) => Checked::TooManyWindows(place),
        })
    }

    /// What a check would be answered; counts nothing.
    pub async fn peek(&self, check: &Check) -> Result<Decision, Error> {
        let exchange = Exchange::new(&self.db, check.subject.partition(), vec![check]);
        match exchange.read(self.db.run(exchange.command(&scripts::PEEK, &[], None)).await?)? {
            Answer::Decided(decisions, _) => decisions.first().copied(),
            Answer::Crowded(_) => None,
        }
        .ok_or(db::Error::unexpected("a decision").into())
    }

    /// Forgets what is used and held of a subject, under every algorithm and window: whether there was anything.
    pub async fn reset(&self, subject: &Subject) -> Result<bool, Error> {
        let at = subject.partition();
        let (state, holds) = (keys::state(&self.db, at, subject), keys::holds(&self.db, at, subject));
        for _ in 0..ATTEMPTS {
            let stored = self.db.run(Command::get(&state)).await?.optional_bytes()?.unwrap_or_default();
            let stored = String::from_utf8_lossy(&stored);
            let windows: Vec<&str> = stored.lines().filter_map(logged).collect();
            let logs: Vec<_> = windows.iter().map(|window| keys::log(&self.db, at, subject, window)).collect();
            let keys: Vec<_> = [&state, &holds].into_iter().chain(&logs).collect();
            let mut command = Command::script(&scripts::RESET, &keys);
            for window in windows {
                command = command.arg(window.to_owned());
            }
            match self.db.run(command).await?.int()? {
                -1 => continue,
                keys => return Ok(keys > 0),
            }
        }
        Err(db::Error::unexpected("the same logs twice").into())
    }
}

/// The window of a line that has a log.
fn logged(line: &str) -> Option<&str> {
    line.strip_prefix("sliding_log ")?.split(' ').next()
}
