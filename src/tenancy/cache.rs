//! What this server remembers of tenants and keys, each with the [`Epoch`] in which it was loaded.
//!
//! Unknown keys have a room of their own: a flood of well-formed keys that nobody has can push out one
//! another, never a key that is in use.

use super::api_key::KeyId;
use super::freshness::Epoch;
use super::registry::Identity;
use super::tenant::Tenant;
use crate::base::lookups::Lookups;
use crate::base::text::TenantId;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Bounded memory of what the backend said.
pub(super) struct Remembered {
    keys: Cache<KeyId, (Epoch, Identity)>,
    unknown: Cache<KeyId, Epoch>,
    tenants: Cache<TenantId, (Epoch, Arc<Tenant>)>,
    /// Of keys that were presented.
    pub(super) lookups: Lookups,
}

impl Remembered {
    pub(super) fn new(keys: usize, unknown: usize) -> Self {
        let (tenants, lookups) = (Cache::new(keys), Lookups::default());
        Remembered { keys: Cache::new(keys), unknown: Cache::new(unknown), tenants, lookups }
    }

    /// What is known of a key in this epoch: `Some(None)` that there is none, `None` nothing.
    pub(super) fn key(&self, id: KeyId, epoch: Epoch) -> Option<Option<Identity>> {
        match self.keys.get(&id) {
            Some((loaded, identity)) if loaded == epoch => Some(Some(identity)),
            _ => self.unknown.get(&id).filter(|loaded| *loaded == epoch).map(|_| None),
        }
    }

    /// Whose key it was, whenever that was.
    pub(super) fn before(&self, id: KeyId) -> Option<Identity> {
        self.keys.get(&id).map(|(_, identity)| identity)
    }

    /// Keeps what was loaded after `epoch` was read.
    pub(super) fn keep_key(&self, id: KeyId, epoch: Epoch, identity: Option<Identity>) {
        match identity {
            Some(identity) => self.keys.insert(id, (epoch, identity)),
            None => self.unknown.insert(id, epoch),
        }
    }

    /// A tenant that is known in this epoch.
    pub(super) fn tenant(&self, id: &TenantId, epoch: Epoch) -> Option<Arc<Tenant>> {
        self.tenants.get(id).filter(|(loaded, _)| *loaded == epoch).map(|(_, tenant)| tenant)
    }

    /// Keeps what was loaded after `epoch` was read.
    pub(super) fn keep_tenant(&self, epoch: Epoch, tenant: Arc<Tenant>) {
        self.tenants.insert(tenant.id.clone(), (epoch, tenant));
    }

    /// How many keys and how many unknown keys are remembered.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.keys.len(), self.unknown.len())
    }
}
