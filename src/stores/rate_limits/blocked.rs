//! Who has been denied again and again a moment ago, and would be again: they are told so without asking the
//! backend, which so is spared when it is under attack.
//!
//! The memory is short, and begins only with a row of denials. What frees quota on another server (a reset, a
//! reservation that ends) is so seen late only by callers who do not pause; what does it on this one empties the
//! memory.

use super::types::{Check, Decision, Quota, Subject};
use crate::base::clock::Clock;
use crate::base::duration::micros;
use crate::base::text::{Name, TenantId};
use crate::db::Partition;
use parking_lot::Mutex;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use std::time::Duration;

/// How long the backend is not asked again, and how far apart two denials of a row may be.
const LONGEST: Duration = Duration::from_millis(250);
/// From this one of a row on, a denial comes from memory.
const FROM: u32 = 3;
/// How many are remembered.
const REMEMBERED: usize = 10_000;
/// Of how many kinds what is remembered may be, for the purpose of forgetting.
const GENERATIONS: usize = 1024;

/// What this process remembers of denials.
pub(super) struct Blocked {
    denied: Cache<Limiter, Arc<Mutex<Row>>>,
    clock: Arc<dyn Clock>,
    /// By tenant and partition: what was remembered under another number is forgotten.
    generations: Box<[AtomicU64]>,
    forgotten: AtomicU64,
    hasher: RandomState,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Limiter {
    tenant: TenantId,
    subject: Subject,
    quota: Quota,
}

struct Asked<'a>(&'a TenantId, &'a Check);

impl Hash for Asked<'_> {
    /// As the derived one of [`Limiter`].
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.subject.hash(state);
        self.1.quota.hash(state);
    }
}

impl Equivalent<Limiter> for Asked<'_> {
    fn equivalent(&self, limiter: &Limiter) -> bool {
        limiter.tenant == *self.0 && limiter.subject == self.1.subject && limiter.quota == self.1.quota
    }
}

/// Denials of one limiter, each soon after the one before. Times are the clock's microseconds.
struct Row {
    length: u32,
    /// When the last one was, from memory or not.
    last: u64,
    /// When the backend was asked last, and what it said to this cost.
    asked: u64,
    cost: u64,
    decision: Decision,
    generation: (usize, u64),
}

/// How much had been forgotten when the backend was asked.
#[derive(Clone, Copy)]
pub(super) struct Before(u64);

impl Blocked {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Blocked {
            denied: Cache::new(REMEMBERED),
            clock,
            generations: std::iter::repeat_with(AtomicU64::default).take(GENERATIONS).collect(),
            forgotten: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// The denial that the backend would repeat; else what [`Blocked::learn`] wants to know.
    pub(super) fn denial(&self, tenant: &TenantId, check: &Check) -> Result<Decision, Before> {
        // Before anything is looked at, and before the backend is asked.
        let before = Before(self.forgotten.load(Acquire));
        if self.denied.is_empty() || check.shadow {
            return Err(before);
        }
        let row = self.denied.get(&Asked(tenant, check)).ok_or(before)?;
        let (mut row, now) = (row.lock(), self.clock.micros());
        let passed = Duration::from_micros(now.saturating_sub(row.asked));
        let (at, number) = row.generation;
        let is_known = self.generations.get(at).is_some_and(|now| now.load(Acquire) == number);
        let holds = passed < LONGEST && passed < row.decision.retry_after;
        if !is_known || !holds || check.cost != row.cost || row.length + 1 < FROM {
            return Err(before);
        }
        row.length = row.length.saturating_add(1);
        row.last = now;
        let left = |time: Duration| time.saturating_sub(passed);
        let Decision { allowed, current, reset, retry_after } = row.decision;
        Ok(Decision { allowed, current, reset: left(reset), retry_after: left(retry_after) })
    }

    /// Takes note of what the backend decided.
    pub(super) fn learn(&self, tenant: &TenantId, check: &Check, decision: &Decision, before: Before) {
        if check.shadow {
            return;
        }
        let asked = Asked(tenant, check);
        if decision.allowed {
            if !self.denied.is_empty() {
                self.denied.remove(&asked);
            }
            return;
        }
        let at = self.place(tenant, check.subject.partition());
        let Some(generation) = self.generations.get(at).map(|now| (at, now.load(Acquire))) else { return };
        // Read after the generation: whoever frees quota moves this one last.
        if self.forgotten.load(Acquire) != before.0 {
            return;
        }
        let now = self.clock.micros();
        let mut new = Row { length: 1, last: now, asked: now, cost: check.cost, decision: *decision, generation };
        if let Some(row) = self.denied.get(&asked) {
            let mut row = row.lock();
            if row.goes_on(now) && row.generation == generation {
                new.length = row.length.saturating_add(1);
            }
            *row = new;
            return;
        }
        let limiter = Limiter { tenant: tenant.clone(), subject: check.subject.clone(), quota: check.quota };
        self.denied.insert(limiter, Arc::new(Mutex::new(new)));
    }

    /// Quota of this subject may have become free.
    pub(super) fn forget(&self, tenant: &TenantId, subject: &Subject) {
        self.forget_in(tenant, subject.partition());
    }

    /// Quota of the subject of this reservation may have become free.
    pub(super) fn forget_reserved(&self, tenant: &TenantId, reservation: &Name) {
        let partition = reservation.as_str().strip_prefix("rsv_").and_then(|rest| rest.get(..2));
        // There is no reservation by another name.
        if let Some(partition) = partition.and_then(Partition::parse) {
            self.forget_in(tenant, partition);
        }
    }

    fn forget_in(&self, tenant: &TenantId, partition: Partition) {
        if let Some(generation) = self.generations.get(self.place(tenant, partition)) {
            generation.fetch_add(1, Release);
        }
        self.forgotten.fetch_add(1, Release);
    }

    fn place(&self, tenant: &TenantId, partition: Partition) -> usize {
        usize::try_from(self.hasher.hash_one((tenant, partition)) % GENERATIONS as u64).unwrap_or(0)
    }
}

impl Row {
    fn goes_on(&self, now: u64) -> bool {
        now.saturating_sub(self.last) <= micros(LONGEST)
    }
}

#[cfg(test)]
mod tests;
