//! What this process remembers of policies.

use super::Policy;
use crate::base::clock::Clock;
use crate::base::text::{Name, TenantId};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// How long what was read counts, in microseconds.
const FRESH: u64 = 1_000_000;
/// How many policies are remembered, of all tenants, and how many names under which there is none: those have a room
/// of their own, so that guesses push out no policy that is in use.
const ROOM: (usize, usize) = (10_000, 1_000);

type At = (TenantId, Name);

#[derive(Clone, Copy)]
struct Known<P> {
    /// When the backend was asked; what is fresh is counted from here.
    asked: u64,
    /// What was asked for earlier may be older than this, and is not kept.
    since: u64,
    policy: P,
}

/// Bounded memory of what the backend said of policies, and when.
pub struct PolicyMemory {
    clock: Arc<dyn Clock>,
    known: Cache<At, Known<Policy>>,
    absent: Cache<At, Known<()>>,
    /// Held by those who write, not across a wait: a slow reader must not undo a change.
    writing: Mutex<()>,
}

impl PolicyMemory {
    /// An empty one, whose clock is never set back.
    pub fn new(clock: Arc<dyn Clock>) -> PolicyMemory {
        let (known, absent) = (Cache::new(ROOM.0), Cache::new(ROOM.1));
        PolicyMemory { clock, known, absent, writing: Mutex::new(()) }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.micros()
    }

    /// What was read less than a second ago: `Some(None)` that there is none, `None` nothing.
    pub(super) fn fresh(&self, tenant: &TenantId, name: &Name) -> Option<Option<Policy>> {
        self.recall(&(tenant.clone(), name.clone()))
            .filter(|known| self.now() < known.asked.saturating_add(FRESH))
            .map(|known| known.policy)
    }

    /// The policy that was last known, whenever that was. That there was none says nothing of now.
    pub(super) fn last(&self, tenant: &TenantId, name: &Name) -> Option<Policy> {
        self.known.get(&(tenant.clone(), name.clone())).map(|known| known.policy)
    }

    /// Keeps what the backend said when it was asked at that time.
    pub(super) fn keep(&self, tenant: &TenantId, name: &Name, asked: u64, policy: Option<Policy>) {
        self.write((tenant.clone(), name.clone()), Known { asked, since: asked, policy });
    }

    /// This process has changed a policy: whoever wants it next asks the backend again, for others may have changed it
    /// since, and what was asked for before this moment is not kept.
    pub(super) fn changed(&self, tenant: &TenantId, name: &Name, policy: Option<Policy>) {
        self.write((tenant.clone(), name.clone()), Known { asked: 0, since: self.now(), policy });
    }

    /// How many policies and how many names without one are remembered.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.absent.len())
    }

    fn recall(&self, at: &At) -> Option<Known<Option<Policy>>> {
        let known = self.known.get(at).map(|known| known.map(Some));
        known.or_else(|| self.absent.get(at).map(|absent| absent.map(|()| None)))
    }

    fn write(&self, at: At, new: Known<Option<Policy>>) {
        let _writing = self.writing.lock();
        if self.recall(&at).is_some_and(|there| there.since > new.since) {
            return;
        }
        match new.policy {
            Some(policy) => {
                self.absent.remove(&at);
                self.known.insert(at, new.map(|_| policy));
            }
            None => {
                self.known.remove(&at);
                self.absent.insert(at, new.map(drop));
            }
        }
    }
}

impl<P> Known<P> {
    fn map<Q>(self, convert: impl FnOnce(P) -> Q) -> Known<Q> {
        Known { asked: self.asked, since: self.since, policy: convert(self.policy) }
    }
}
