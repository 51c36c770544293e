//! What goes in and out of the rate limit store.

use crate::base::clock::Timestamp;
use crate::base::id::NoRandomness;
use crate::base::text::Name;
use crate::db;
use crate::tenancy::KeyId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How uses are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Two counters, the older of which counts by the share of its window that is not over yet. Cheap.
    #[default]
    SlidingWindow,
    /// Every use with its time. Exact over any window, and the dearest.
    SlidingLog,
    /// The generic cell rate algorithm: uses drain at `limit` per `window`; `burst` is room beyond that.
    TokenBucket,
    /// One counter for each window; windows begin at multiples of their length since the epoch (UTC midnight for a day).
    FixedWindow,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Algorithm] =
        &[Algorithm::SlidingWindow, Algorithm::SlidingLog, Algorithm::TokenBucket, Algorithm::FixedWindow];

    /// Its name in the API and in what is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::SlidingWindow => "sliding_window",
            Algorithm::SlidingLog => "sliding_log",
            Algorithm::TokenBucket => "token_bucket",
            Algorithm::FixedWindow => "fixed_window",
        }
    }
}

/// The largest limit, burst and cost: all sums of them are exact in the numbers of Lua.
pub const MOST_UNITS: u64 = 1_000_000_000_000;
/// The longest window.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);
/// The most that a log may hold: each use is an entry.
pub const MOST_LOGGED: u64 = 100_000;
/// The largest product of a bucket's room and its time to refill a unit, in lowest terms: what is exact.
pub const MOST_EXACT: u64 = 1 << 53;

/// What is wrong with a quota: the member, and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaFault {
    /// Its name in the API, such as `limit`.
    pub member: &'static str,
    /// What is wrong with it, for people.
    pub detail: &'static str,
}

/// So many units in a window, counted so. Always one that can be kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    limit: u64,
    burst: u64,
    window_millis: u64,
    algorithm: Algorithm,
}

impl Quota {
    /// Checks the numbers: `limit` and `burst` in units, the window in whole milliseconds.
    ///
    /// # Errors
    /// The member that cannot be kept exactly, or that makes no sense.
    pub fn new(limit: u64, burst: u64, window: Duration, algorithm: Algorithm) -> Result<Quota, QuotaFault> {
        let fault = |member, detail| Err(QuotaFault { member, detail });
        if !(1..=MOST_UNITS).contains(&limit) {
            return fault("limit", "must be from 1 to 1000000000000");
        }
        if burst > MOST_UNITS {
            return fault("burst", "must be from 0 to 1000000000000");
        }
        if window.is_zero() || window > LONGEST_WINDOW {
            return fault("window", "must be from 1ms to 366d");
        }
        let window_millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let quota = Quota { limit, burst, window_millis, algorithm };
        if algorithm == Algorithm::SlidingLog && quota.room() > MOST_LOGGED {
            return fault("limit", "must with the burst be at most 100000 for sliding_log");
        }
        let (_, cost) = quota.drain();
        if algorithm == Algorithm::TokenBucket && quota.room().checked_mul(cost).is_none_or(|most| most > MOST_EXACT) {
            return fault("window", "is too long and uneven to be kept exactly at this limit: take a rounder one");
        }
        Ok(quota)
    }

    /// Units in a window.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Units beyond those.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// The most that can be used at a time: limit and burst.
    pub fn room(&self) -> u64 {
        self.limit + self.burst
    }

    /// The window in milliseconds.
    pub fn window_millis(&self) -> u64 {
        self.window_millis
    }

    /// How uses are counted.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Of a bucket: how many drops drain in a millisecond, and how many a unit is. In lowest terms.
    pub fn drain(&self) -> (u64, u64) {
        let (mut a, mut b) = (self.limit, self.window_millis);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        (self.limit / a, self.window_millis / a)
    }
}

/// Whose uses are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A key that the tenant chose.
    Named(Name),
    /// The requests of one API key to this server.
    Requests(KeyId),
}

/// A question: may it use so much more of this?
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Check {
    /// Whose uses.
    pub subject: Subject,
    /// How many are allowed.
    pub quota: Quota,
    /// How many these are: 1 to [`Quota::room`], for more could never be allowed.
    pub cost: u64,
    /// Counts, and never denies.
    pub shadow: bool,
}

/// The answer to one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// `used + cost <= limit + burst` held. For a shadowed check too: it is for the caller to let it pass.
    pub allowed: bool,
    /// What is used now, this check included if it was counted.
    pub current: u64,
    /// Until quota comes back: the end of the window or of the oldest entry, or the next unit of a bucket. Zero when
    /// nothing is used.
    pub reset: Duration,
    /// Until this check could be allowed, if nobody else uses anything meanwhile and no reservation ends early. Zero
    /// when it was.
    pub retry_after: Duration,
}

impl Decision {
    /// What is left of the limit; the burst is on top of it.
    pub fn remaining(&self, quota: &Quota) -> u64 {
        quota.limit().saturating_sub(self.current)
    }
}

/// What became of several checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// In the order of the checks. All were counted if each was allowed or shadowed; else none.
    Decided(Vec<Decision>),
    /// The check at this place has a key that is limited over too many different windows; nothing was counted.
    TooManyWindows(usize),
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// The backend, for all servers.
    Exact(T),
    /// This process, which counts for itself while the backend cannot be asked.
    Approximate(T),
    /// Nobody: the backend cannot be asked, and nothing is allowed then. It is worth asking again after
    /// [`ASK_AGAIN`].
    Closed,
}

/// When to ask again whether the backend can be asked.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Units that are held until they are committed or cancelled, or for as long as they are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id: `rsv_`, the partition, and 128 random bits.
    pub id: Name,
    /// When it frees itself, by the backend's clock.
    pub expires_at: Timestamp,
}

/// What became of a wish to reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// With a reservation if it was allowed.
    Decided(Decision, Option<Reservation>),
    /// The key is limited over too many different windows.
    TooManyWindows,
}

/// What becomes of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// So much was used, which may be more or less than what was held. It counts even beyond the limit.
    Commit(u64),
    /// Nothing was used.
    Cancel,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleOutcome {
    /// Done, now or by an earlier call that said the same. With the units that were counted.
    Settled(u64),
    /// It was settled otherwise before.
    SettledOtherwise,
    /// There is none, or it has freed itself.
    Absent,
}

/// What nobody can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The backend could not be asked.
    #[error(transparent)]
    Backend(#[from] db::Error),
    /// No identifier can be made.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Self {
        Error::NoRandomness
    }
}
