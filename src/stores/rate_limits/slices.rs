//! The requests that an API key may make, taken from the backend in slices, so that a request costs no round trip of
//! its own: units are counted there first, and used here after.
//!
//! So all servers together never allow more than the limit. What a slice costs is exactness downwards: what is not
//! used within its life is lost, and who is near the limit is told a moment later what others have used. A slice
//! therefore begins at one unit, doubles only for those who use theirs up early in its life, is at most an eighth of
//! what is left and what the limit allows in a quarter of that life, and begins anew when one has lapsed. Requests that
//! wait for a slice at the same time share one question, which asks for all of them.

use super::guard::Guarded;
use super::remembered::known_or_new;
use super::types::{Check, Checked, Decision, Error, Quota, Subject, Told};
use crate::base::clock::Clock;
use crate::base::duration::micros;
use crate::db;
use crate::tenancy::KeyId;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Keys whose slices are remembered. Those of a forgotten one are lost.
const REMEMBERED: usize = 10_000;
/// The longest life of a slice.
const LONGEST_LIFE: Duration = Duration::from_secs(1);
/// The part of the window that it may be.
const LIVES_PER_WINDOW: u64 = 60;
/// The part of its life within which a slice must be used up for the next to be twice as large: at an even pace that
/// one is used up too, with time to spare.
const EARLY: u64 = 4;
/// The part of what is left that may be taken ahead of need.
const PART_OF_LEFT: u64 = 8;
/// The part of what the limit allows in a life of it, at an even pace, that may be taken so. What lapses between bursts
/// is then a small part of them; and nothing is where the limit is so low that a trip for each request costs little.
const PART_OF_LIFE: u64 = 4;

/// The slices of all keys, of one process.
pub struct Slices {
    slices: Cache<KeyId, Arc<Slice>>,
    clock: Arc<dyn Clock>,
}

/// How a key stands with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests in a window.
    pub limit: u64,
    /// Requests that are left of it; the burst is on top of them.
    pub remaining: u64,
    /// Until there are more.
    pub reset: Duration,
}

/// What a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It is within the limit.
    Allowed(Standing),
    /// It is not, and it is worth asking again after this time.
    Denied(Standing, Duration),
    /// The backend cannot be asked, and nothing is allowed then.
    Closed,
}

#[derive(Default)]
struct Slice {
    state: Mutex<State>,
    /// Held by whoever asks the backend.
    filling: tokio::sync::Mutex<()>,
    /// How many wait for it, the one that asks included.
    waiting: AtomicU64,
}

/// Times are the clock's microseconds.
#[derive(Default)]
struct State {
    /// Under which limit and burst it was taken.
    under: (u64, u64),
    /// Units that are counted and not used.
    units: u64,
    lapses: u64,
    /// Whoever needs another one before this time uses them up early.
    early: u64,
    /// How many units were taken ahead of need.
    size: u64,
    /// What the backend had counted, these units included.
    counted: u64,
    resets: u64,
}

/// One of those who wait; it may leave at any time.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Slices {
    /// Time is told by `clock`, which must not be set back.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Slices::of(REMEMBERED, clock)
    }

    fn of(keys: usize, clock: Arc<dyn Clock>) -> Self {
        Slices { slices: Cache::new(keys), clock }
    }

    /// A unit of what this process has for the key under this limit and burst, if there is one.
    pub fn at_once(&self, key: KeyId, under: (u64, u64)) -> Option<Standing> {
        let slice = self.slices.get(&key)?;
        let mut state = slice.state.lock();
        state.take(under, self.clock.micros())
    }

    /// A unit, from the backend if need be.
    ///
    /// # Errors
    /// When not even this process can tell.
    pub async fn take(&self, key: KeyId, quota: Quota, limits: &Guarded) -> Result<Grant, Error> {
        let slice = known_or_new(&self.slices, &key);
        slice.waiting.fetch_add(1, Relaxed);
        let waiting = Waiting(&slice.waiting);
        let turn = slice.filling.lock().await;
        let (under, now) = ((quota.limit(), quota.burst()), self.clock.micros());
        let (mut units, size) = {
            let mut state = slice.state.lock();
            if let Some(standing) = state.take(under, now) {
                return Ok(Grant::Allowed(standing));
            }
            state.next(&quota, slice.waiting.load(Relaxed), now)
        };
        loop {
            let check = Check { subject: Subject::Requests(key), quota, cost: units, shadow: false };
            let decision = match limits.check(&[check]).await? {
                Told::Exact(Checked::Decided(decisions)) | Told::Approximate(Checked::Decided(decisions)) => {
                    decisions.first().copied()
                }
                Told::Exact(Checked::TooManyWindows(_)) | Told::Approximate(Checked::TooManyWindows(_)) => None,
                Told::Closed => return Ok(Grant::Closed),
            };
            let Some(decision) = decision else { return Err(db::Error::unexpected("a decision").into()) };
            let now = self.clock.micros();
            if decision.allowed {
                let mut state = slice.state.lock();
                *state = State::counted(&quota, units, size, &decision, now);
                let standing = state.use_one(now);
                drop((state, turn, waiting));
                return Ok(Grant::Allowed(standing));
            }
            if units == 1 {
                let (limit, remaining) = (quota.limit(), decision.remaining(&quota));
                let standing = Standing { limit, remaining, reset: decision.reset };
                return Ok(Grant::Denied(standing, decision.retry_after));
            }
            // Others have used some meanwhile.
            units = quota.room().saturating_sub(decision.current).clamp(1, units / 2);
        }
    }
}

impl State {
    /// A new slice of so many units, of which `size` were taken ahead of need.
    fn counted(quota: &Quota, units: u64, size: u64, decision: &Decision, now: u64) -> State {
        let life = micros(LONGEST_LIFE.min(Duration::from_millis(quota.window_millis() / LIVES_PER_WINDOW)));
        State {
            under: (quota.limit(), quota.burst()),
            units,
            lapses: now.saturating_add(life),
            early: now.saturating_add(life / EARLY),
            size,
            counted: decision.current,
            resets: now.saturating_add(micros(decision.reset)),
        }
    }

    fn take(&mut self, under: (u64, u64), now: u64) -> Option<Standing> {
        (self.units > 0 && now < self.lapses && self.under == under).then(|| self.use_one(now))
    }

    fn use_one(&mut self, now: u64) -> Standing {
        self.units = self.units.saturating_sub(1);
        let (limit, _) = self.under;
        let used = self.counted.saturating_sub(self.units);
        let reset = Duration::from_micros(self.resets.saturating_sub(now));
        Standing { limit, remaining: limit.saturating_sub(used), reset }
    }

    /// How many units to take for so many who wait, and how many of them ahead of need.
    fn next(&self, quota: &Quota, waiting: u64, now: u64) -> (u64, u64) {
        let counted = if now < self.resets { self.counted } else { 0 };
        let left = quota.room().saturating_sub(counted);
        let wanted = match self.units {
            0 if now < self.early => self.size.saturating_mul(2),
            0 if now < self.lapses => self.size,
            _ => 1,
        };
        let size = wanted.min(left / PART_OF_LEFT).min(quota.limit() / (LIVES_PER_WINDOW * PART_OF_LIFE)).max(1);
        (size.max(waiting.min(left)), size)
    }
}

#[cfg(test)]
mod tests;
