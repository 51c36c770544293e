//! For tests: the embedded backend behind a wire that is counted and can be cut, and instances that share it.

use super::RateLimits;
use super::guard::{Guard, Guarded};
use super::settings::Fail;
use super::types::{Algorithm, Check, Quota, Subject};
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::text::{Name, TenantId};
use crate::db::transport::memory::Memory;
use crate::db::transport::{Execution, RedisTransport};
use crate::db::{BackendClock, Batch, Database, Delivery, Error, ErrorKind, Outage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub(super) struct Wire {
    backend: Memory,
    pub(super) cut: AtomicBool,
    asked: AtomicUsize,
}

impl RedisTransport for Wire {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, SeqCst);
            // As over a network, others come in between.
            tokio::task::yield_now().await;
            if self.cut.load(SeqCst) {
                return Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));
            }
            self.backend.execute(batch).await
        })
    }
}

impl Wire {
    /// How often it was asked since the last time.
    pub(super) fn asked(&self) -> usize {
        self.asked.swap(0, SeqCst)
    }
}

/// A backend and its time.
pub(super) struct World {
    pub(super) clock: ManualClock,
    pub(super) wire: Arc<Wire>,
    database: Database,
}

impl World {
    pub(super) fn new() -> World {
        // The beginning of a minute, so that windows are what they look like.
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let backend = Memory::new(shared.clone());
        let wire = Arc::new(Wire { backend, cut: AtomicBool::new(false), asked: AtomicUsize::new(0) });
        let database = Database::new(wire.clone(), "t", BackendClock::new(shared));
        World { clock, wire, database }
    }

    /// Another instance.
    pub(super) fn instance(&self, fail: Fail) -> Arc<Guard> {
        self.instance_in(fail, Outage::default())
    }

    pub(super) fn instance_in(&self, fail: Fail, outage: Outage) -> Arc<Guard> {
        Arc::new(Guard::new(fail, outage, Arc::new(self.clock.clone())))
    }

    /// What one request gets of this instance.
    pub(super) fn over(&self, instance: &Arc<Guard>, tenant: &str) -> Guarded {
        instance.over(&TenantId::parse(tenant).unwrap(), self.limits(tenant))
    }

    /// The limits of the backend.
    pub(super) fn limits(&self, tenant: &str) -> RateLimits {
        RateLimits::new(self.database.tenant(&TenantId::parse(tenant).unwrap()))
    }

    pub(super) fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

/// `limit` in a minute, and a burst beyond.
pub(super) fn a_minute(limit: u64, burst: u64) -> Quota {
    Quota::new(limit, burst, Duration::from_secs(60), Algorithm::SlidingWindow).unwrap()
}

/// A check of a key.
pub(super) fn check(key: &str, quota: Quota, cost: u64) -> Check {
    Check { subject: Subject::Named(Name::parse(key).unwrap()), quota, cost, shadow: false }
}
