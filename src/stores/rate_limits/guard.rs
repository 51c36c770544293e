//! What stands between whoever asks and the limits of the backend: it answers for the backend while that cannot be
//! asked, or says that nothing is allowed, as `RATE_LIMIT_FAIL` wants it; and spares it those who are denied anyway.
//!
//! While the backend cannot be asked, the same checks run over an embedded backend of this process. Each process so
//! allows up to the limit. A log is counted by a sliding window there, so that what is kept of a key is small; and
//! once a great many keys are known, those that are not pass uncounted: that is failing open, and keeps the memory
//! bounded whoever makes up names.

use super::RateLimits;
use super::blocked::Blocked;
use super::counts::{Counts, Outcome};
use super::settings::Fail;
use super::together::Together;
use super::types::{Algorithm, Check, Checked, Decision, Error, Quota, Subject, Told};
use super::types::{ReserveOutcome, SettleOutcome, Settlement};
use crate::base::clock::Clock;
use crate::base::sparing::Sparing;
use crate::base::text::{Name, TenantId};
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Outage};
use prometheus_client::registry::Registry as Metrics;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;

static FAILED: Sparing = Sparing::new();

/// Beyond so many keys, those that are not known yet are not counted.
const MOST_KEYS: usize = 50_000;

/// One for a process.
pub struct Guard {
    fail: Fail,
    outage: Outage,
    memory: Arc<Memory>,
    most_keys: usize,
    /// How many checks may be made until the keys must be counted: each makes at most one.
    room: AtomicI64,
    local: Database,
    blocked: Blocked,
    together: Together,
    counts: Arc<Counts>,
}

impl Guard {
    /// Time is told by `clock`, which must not be set back.
    pub fn new(fail: Fail, outage: Outage, clock: Arc<dyn Clock>) -> Self {
        let memory = Arc::new(Memory::new(clock.clone()));
        let local = Database::new(memory.clone(), "local", BackendClock::new(clock.clone()));
        let (blocked, together, counts) = (Blocked::new(clock), Together::new(), Arc::default());
        Guard { fail, outage, memory, most_keys: MOST_KEYS, room: AtomicI64::new(0), local, blocked, together, counts }
    }

    /// What is counted in this process, to be swept now and then.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Registers its counters.
    pub fn register(&self, metrics: &mut Metrics) {
        self.counts.register(metrics);
    }

    /// Before these limits of this tenant, for one request.
    pub fn over(self: &Arc<Self>, tenant: &TenantId, backend: RateLimits) -> Guarded {
        Guarded { guard: self.clone(), tenant: tenant.clone(), backend, degraded: Arc::default() }
    }

    /// Whether this process may get to know another key.
    fn has_room(&self, checks: usize) -> bool {
        let checks = i64::try_from(checks).unwrap_or(i64::MAX);
        if self.room.fetch_sub(checks, Relaxed) >= checks {
            return true;
        }
        // Several may count at once, and all are right.
        let left = || self.most_keys.saturating_sub(self.memory.len());
        let room = match left() {
            0 if self.memory.sweep(SWEPT) > 0 => left(),
            room => room,
        };
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        self.room.store(room.saturating_sub(checks).max(0), Relaxed);
        room >= checks
    }
}

/// How many keys past their time are removed at a time, so that no request waits long for it.
const SWEPT: usize = 1000;

/// The limits of a tenant, for one request.
pub struct Guarded {
    guard: Arc<Guard>,
    tenant: TenantId,
    backend: RateLimits,
    degraded: Arc<AtomicBool>,
}

impl Guarded {
    /// Becomes true when an answer is not the backend's.
    pub fn degraded(&self) -> Arc<AtomicBool> {
        self.degraded.clone()
    }

    /// As [`RateLimits::check`], by whoever can tell.
    ///
    /// # Errors
    /// When not even this process can.
    pub async fn check(&self, checks: &[Check]) -> Result<Told<Checked>, Error> {
        let Guard { blocked, together, counts, .. } = &*self.guard;
        let alone = match checks {
            [check] => match blocked.denial(&self.tenant, check) {
                Ok(decision) => {
                    counts.count(Outcome::BlockedLocally, check);
                    return Ok(Told::Exact(Checked::Decided(vec![decision])));
                }
                Err(before) => Some((check, before)),
            },
            _ => None,
        };
        let exact = async {
            match alone {
                Some((check, _)) if !check.shadow => together.check(&self.tenant, check, &self.backend).await,
                _ => self.backend.check(checks).await,
            }
        };
        let told = self.told(exact, || self.approximate(checks)).await?;
        match &told {
            Told::Exact(Checked::Decided(decisions)) => {
                if let (Some((check, before)), [decision]) = (alone, decisions.as_slice()) {
                    blocked.learn(&self.tenant, check, decision, before);
                }
                counts.count_all(checks, decisions, false);
            }
            Told::Approximate(Checked::Decided(decisions)) => counts.count_all(checks, decisions, true),
            Told::Closed => checks.iter().for_each(|check| counts.count(Outcome::Closed, check)),
            Told::Exact(Checked::TooManyWindows(_)) | Told::Approximate(Checked::TooManyWindows(_)) => {}
        }
        Ok(told)
    }

    /// As [`RateLimits::peek`], by whoever can tell.
    ///
    /// # Errors
    /// When not even this process can.
    pub async fn peek(&self, check: &Check) -> Result<Told<Decision>, Error> {
        let here = async { self.here().peek(&kept_here(check)).await };
        self.told(self.backend.peek(check), || here).await
    }

    /// As [`RateLimits::reset`].
    pub async fn reset(&self, subject: &Subject) -> Result<bool, Error> {
        let done = self.backend.reset(subject).await;
        self.guard.blocked.forget(&self.tenant, subject);
        done
    }

    /// As [`RateLimits::reserve`].
    pub async fn reserve(&self, check: &Check, hold: Duration) -> Result<ReserveOutcome, Error> {
        self.backend.reserve(check, hold).await
    }

    /// As [`RateLimits::settle`].
    pub async fn settle(&self, id: &Name, how: Settlement) -> Result<SettleOutcome, Error> {
        let done = self.backend.settle(id, how).await;
        self.guard.blocked.forget_reserved(&self.tenant, id);
        done
    }

    /// What the backend says, or whoever stands in for it.
    async fn told<T, F: Future<Output = Result<T, Error>>>(
        &self,
        exact: impl Future<Output = Result<T, Error>>,
        here: impl FnOnce() -> F,
    ) -> Result<Told<T>, Error> {
        // While every door is shut the backend would refuse at once, and each refusal would be one more warning.
        if !self.guard.outage.is_on() {
            match exact.await {
                Err(Error::Backend(error)) => {
                    if let Some(left_out) = FAILED.line() {
                        tracing::warn!(%error, left_out, "a limit could not be asked for and is approximated");
                    }
                }
                exact => return exact.map(Told::Exact),
            }
        }
        self.degraded.store(true, Relaxed);
        match self.guard.fail {
            // Boxed, as it is rare and large: every request would carry the room for it.
            Fail::Open => Ok(Told::Approximate(Box::pin(here()).await?)),
            Fail::Closed => Ok(Told::Closed),
        }
    }

    fn here(&self) -> RateLimits {
        RateLimits::new(self.guard.local.tenant(&self.tenant))
    }

    async fn approximate(&self, checks: &[Check]) -> Result<Checked, Error> {
        let (here, kept) = (self.here(), checks.iter().map(kept_here).collect::<Vec<_>>());
        if self.guard.has_room(kept.len()) {
            return here.check(&kept).await;
        }
        let (mut decisions, mut known, mut places) = (Vec::with_capacity(kept.len()), Vec::new(), Vec::new());
        for (place, check) in kept.into_iter().enumerate() {
            let decision = here.peek(&check).await?;
            if decision.current > 0 {
                known.push(check);
                places.push(place);
            }
            decisions.push(decision);
        }
        match here.check(&known).await? {
            Checked::Decided(of_known) => {
                for (place, decision) in places.into_iter().zip(of_known) {
                    if let Some(at) = decisions.get_mut(place) {
                        *at = decision;
                    }
                }
                Ok(Checked::Decided(decisions))
            }
            Checked::TooManyWindows(of_known) => {
                Ok(Checked::TooManyWindows(places.get(of_known).copied().unwrap_or_default()))
            }
        }
    }
}

/// The check as this process counts it. What is allowed at a time is the same.
fn kept_here(check: &Check) -> Check {
    let mut kept = check.clone();
    if check.quota.algorithm() == Algorithm::SlidingLog {
        let window = Duration::from_millis(check.quota.window_millis());
        let quota = Quota::new(check.quota.limit(), check.quota.burst(), window, Algorithm::SlidingWindow);
        kept.quota = quota.unwrap_or(check.quota);
    }
    kept
}

#[cfg(test)]
mod tests;
