//! The rate limits over the embedded backend, with a clock that can be moved.

use super::*;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::text::{Name, TenantId};
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Partition, TenantDb};
use std::sync::Arc;
use std::time::Duration;

mod counting;
mod model;
mod numbers;
mod random;
mod reservations;
mod resets;
mod together;

const START: u64 = 1_700_000_000_000;

/// A store, its data and its clock.
struct Bench {
    limits: RateLimits,
    db: TenantDb,
    memory: Arc<Memory>,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Bench {
        let clock = ManualClock::at(Timestamp::from_millis(START));
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let database = Database::new(memory.clone(), "test", BackendClock::new(Arc::new(clock.clone())));
        let db = database.tenant(&TenantId::parse("acme").unwrap());
        Bench { limits: RateLimits::new(db.clone()), db, memory, clock }
    }

    /// Milliseconds since the epoch, beyond what a [`Timestamp`] can say.
    fn now(&self) -> u128 {
        u128::from(self.clock.micros()) / 1000
    }

    /// Lets a time pass after which nothing is left that ends at all.
    fn everything_ends(&self) {
        self.pass(1 << 53);
        self.memory.sweep(usize::MAX);
        assert!(self.memory.is_empty(), "{} keys never end", self.memory.len());
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    async fn check(&self, check: &Check) -> Decision {
        match self.limits.check(std::slice::from_ref(check)).await.unwrap() {
            Checked::Decided(decisions) => decisions[0],
            other => panic!("{other:?}"),
        }
    }

    async fn all(&self, checks: &[Check]) -> Vec<Decision> {
        match self.limits.check(checks).await.unwrap() {
            Checked::Decided(decisions) => decisions,
            other => panic!("{other:?}"),
        }
    }
}

fn named(key: &str) -> Subject {
    Subject::Named(Name::parse(key).unwrap())
}

fn quota(algorithm: Algorithm, limit: u64, burst: u64, window: u64) -> Quota {
    Quota::new(limit, burst, Duration::from_millis(window), algorithm).unwrap()
}

fn check(key: &str, quota: Quota, cost: u64) -> Check {
    Check { subject: named(key), quota, cost, shadow: false }
}

/// Two keys that lie in different partitions, and one beside the first.
fn keys() -> (String, String, String) {
    let at = Partition::of("a");
    let mut names = (0..).map(|n| format!("k{n}"));
    let beside = names.find(|name| Partition::of(name) == at).unwrap();
    let apart = names.find(|name| Partition::of(name) != at).unwrap();
    ("a".to_owned(), apart, beside)
}
