//! What has been ended while the backend could not be told: kept in order to tell it, before anything else.

use super::super::id::SessionRef;
use super::Bounds;
use crate::base::text::{Name, TenantId};
use std::collections::HashMap;

/// That one session has been ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// When, by the backend's clock as it was estimated here, in microseconds. What was created later stays.
    pub(super) asked: u64,
    /// Until when, in milliseconds, the backend must not take the session from a write that is still under way; 0
    /// where there is none.
    pub(super) barred_until: u64,
}

/// That all sessions of a user have been ended but one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllEnded {
    /// As in [`Ended`].
    pub(super) asked: u64,
    /// What stands for the id of the one that was spared.
    pub(super) spared: Option<String>,
}

/// The revocations of all tenants.
#[derive(Clone)]
pub(super) struct Journal {
    bounds: Bounds,
    sessions: HashMap<(TenantId, SessionRef), Ended>,
    users: HashMap<(TenantId, Name), Vec<AllEnded>>,
}

impl Journal {
    pub(super) fn new(bounds: Bounds) -> Journal {
        Journal { bounds, sessions: HashMap::new(), users: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.users.is_empty()
    }

    /// Whether so many entries more fit.
    pub(super) fn has_room(&self, entries: usize) -> bool {
        self.sessions.len() + self.users.len() + entries <= self.bounds.noted
    }

    pub(super) fn has(&self, tenant: &TenantId, at: &SessionRef) -> bool {
        !self.sessions.is_empty() && self.sessions.contains_key(&(tenant.clone(), at.clone()))
    }

    pub(super) fn end(&mut self, tenant: &TenantId, at: &SessionRef, ended: Ended) {
        self.sessions.insert((tenant.clone(), at.clone()), ended);
    }

    /// Of those that spare different sessions the last two say all.
    pub(super) fn end_all(&mut self, tenant: &TenantId, user: &Name, ended: AllEnded) {
        let known = self.users.entry((tenant.clone(), user.clone())).or_default();
        known.retain(|other| other.spared != ended.spared);
        known.push(ended);
        let older = known.len().saturating_sub(2);
        known.drain(..older);
    }

    /// A session that is held here has another id now: who spared it spares it still.
    pub(super) fn renamed(&mut self, tenant: &TenantId, user: &Name, old: &SessionRef, new: &SessionRef) {
        let Some(all) = self.users.get_mut(&(tenant.clone(), user.clone())) else { return };
        for spared in all.iter_mut().filter_map(|ended| ended.spared.as_mut()) {
            if *spared == old.fingerprint {
                spared.clone_from(&new.fingerprint);
            }
        }
    }

    /// The sessions that have been ended, by tenant.
    pub(super) fn sessions(&self) -> HashMap<&TenantId, Vec<(&SessionRef, Ended)>> {
        let mut by_tenant: HashMap<&TenantId, Vec<_>> = HashMap::new();
        for ((tenant, at), ended) in &self.sessions {
            by_tenant.entry(tenant).or_default().push((at, *ended));
        }
        by_tenant
    }

    /// The users whose sessions have been ended.
    pub(super) fn users(&self) -> impl Iterator<Item = (&TenantId, &Name, &AllEnded)> {
        self.users.iter().flat_map(|((tenant, user), all)| all.iter().map(move |ended| (tenant, user, ended)))
    }

    /// Drops what the backend has been told, as it stood in `told`.
    pub(super) fn settle(&mut self, told: &Journal) {
        self.sessions.retain(|which, ended| told.sessions.get(which) != Some(ended));
        for (which, all) in &told.users {
            if let Some(known) = self.users.get_mut(which) {
                known.retain(|ended| !all.contains(ended));
            }
        }
        self.users.retain(|_, all| !all.is_empty());
    }
}
