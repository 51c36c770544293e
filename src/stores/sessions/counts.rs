//! What became of sessions in this process, for Prometheus: counted where a client is answered, so that what is written
//! to the backend later, or written there again, is counted once.

use super::types::{CreateOutcome, PutOutcome, RefreshOutcome, RevokeOutcome};
use crate::base::text::TenantId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What becomes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    Created,
    Refreshed,
    Revoked,
    /// Ended to make room for another one of its user.
    Evicted,
    /// Cleared after its time, by the upkeep of this process.
    Expired,
    /// It was there and could not be read.
    Unreadable,
}

const ALL: [(Became, &str, &str); 6] = [
    (Became::Created, "created", "Sessions that were created"),
    (Became::Refreshed, "refreshed", "Refresh tokens that were exchanged, repetitions within their grace included"),
    (Became::Revoked, "revoked", "Sessions that were revoked"),
    (Became::Evicted, "evicted", "Sessions that were ended to make room for another one of their user"),
    (
        Became::Expired,
        "expired",
        "Sessions that this process cleared after their time; the backend ended them by itself",
    ),
    (Became::Unreadable, "unreadable", "Stored sessions that could not be read"),
];

/// Shared by all session stores of a process.
#[derive(Debug, Default)]
pub struct SessionCounts([AtomicU64; ALL.len()]);

impl SessionCounts {
    /// Registers them.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }

    /// Adds what a client is told, and writes a line of it: in the life of a session there are few, and its reads are none.
    pub(super) fn tell(&self, tenant: &TenantId, outcome: &impl Counted) {
        let (what, number) = outcome.change();
        self.count(what, number);
        if number > 0 && what != Became::Refreshed {
            let change = ALL.get(what as usize).map(|(_, change, _)| *change);
            tracing::info!(tenant = tenant.as_str(), change, number, "sessions");
        }
    }

    pub(super) fn count(&self, what: Became, number: u64) {
        if let Some(count) = self.0.get(what as usize) {
            count.fetch_add(number, Relaxed);
        }
    }

    pub(super) fn of(&self, what: Became) -> u64 {
        self.0.get(what as usize).map_or(0, |count| count.load(Relaxed))
    }
}

/// What an outcome that a client is told makes of sessions.
pub(super) trait Counted {
    /// What became of how many.
    fn change(&self) -> (Became, u64);
}

impl Counted for CreateOutcome {
    fn change(&self) -> (Became, u64) {
        (Became::Created, u64::from(matches!(self, CreateOutcome::Created { .. })))
    }
}

impl Counted for PutOutcome {
    fn change(&self) -> (Became, u64) {
        (Became::Created, u64::from(matches!(self, PutOutcome::Created(_))))
    }
}

impl Counted for RefreshOutcome {
    fn change(&self) -> (Became, u64) {
        (Became::Refreshed, u64::from(matches!(self, RefreshOutcome::Refreshed { .. })))
    }
}

impl Counted for RevokeOutcome {
    fn change(&self) -> (Became, u64) {
        (Became::Revoked, u64::from(*self == RevokeOutcome::Revoked))
    }
}

/// How many were revoked.
impl Counted for u64 {
    fn change(&self) -> (Became, u64) {
        (Became::Revoked, *self)
    }
}

#[derive(Debug)]
struct Shown(Arc<SessionCounts>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (what, name, help) in ALL {
            let counter = ConstCounter::new(self.0.of(what));
            let name = format!("agentapi_sessions_{name}");
            counter.encode(encoder.encode_descriptor(&name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
