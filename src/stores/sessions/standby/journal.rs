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

/// The revocations of one tenant.
#[derive(Clone, Default)]
struct Noted {
    sessions: HashMap<SessionRef, Ended>,
    users: HashMap<Name, Vec<AllEnded>>,
}

impl Noted {
    fn entries(&self) -> usize {
        self.sessions.len() + self.users.len()
    }
}

/// The revocations of all tenants.
#[derive(Clone)]
pub(super) struct Journal {
    bounds: Bounds,
    tenants: HashMap<TenantId, Noted>,
}

impl Journal {
    pub(super) fn new(bounds: Bounds) -> Journal {
        Journal { bounds, tenants: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// How many revocations there are.
    pub(super) fn entries(&self) -> usize {
        self.tenants.values().map(Noted::entries).sum()
    }

    /// Whether so many entries more of this tenant fit.
    pub(super) fn has_room(&self, tenant: &TenantId, entries: usize) -> bool {
        let own = self.tenants.get(tenant).map_or(0, Noted::entries);
        super::fits(own, self.entries(), entries, self.bounds.noted)
    }

    pub(super) fn has(&self, tenant: &TenantId, at: &SessionRef) -> bool {
        self.tenants.get(tenant).is_some_and(|noted| noted.sessions.contains_key(at))
    }

    pub(super) fn end(&mut self, tenant: &TenantId, at: &SessionRef, ended: Ended) {
        self.tenants.entry(tenant.clone()).or_default().sessions.insert(at.clone(), ended);
    }

    /// Of those that spare different sessions the last two say all.
    pub(super) fn end_all(&mut self, tenant: &TenantId, user: &Name, ended: AllEnded) {
        let known = self.tenants.entry(tenant.clone()).or_default().users.entry(user.clone()).or_default();
        known.retain(|other| other.spared != ended.spared);
        known.push(ended);
        let older = known.len().saturating_sub(2);
        known.drain(..older);
    }

    /// A session that is held here has another id now: who spared it spares it still.
    pub(super) fn renamed(&mut self, tenant: &TenantId, user: &Name, old: &SessionRef, new: &SessionRef) {
        let all = self.tenants.get_mut(tenant).and_then(|noted| noted.users.get_mut(user));
        for spared in all.into_iter().flatten().filter_map(|ended| ended.spared.as_mut()) {
            if *spared == old.fingerprint {
                spared.clone_from(&new.fingerprint);
            }
        }
    }

    /// The sessions that have been ended, by tenant.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&TenantId, Vec<(&SessionRef, Ended)>)> {
        self.tenants.iter().map(|(tenant, noted)| (tenant, noted.sessions.iter().map(|(at, e)| (at, *e)).collect()))
    }

    /// The users whose sessions have been ended.
    pub(super) fn users(&self) -> impl Iterator<Item = (&TenantId, &Name, &AllEnded)> {
        self.tenants.iter().flat_map(|(tenant, noted)| of_tenant(tenant, noted))
    }

    /// Drops what the backend has been told, as it stood in `told`.
    pub(super) fn settle(&mut self, told: &Journal) {
        for (tenant, told) in &told.tenants {
            let Some(noted) = self.tenants.get_mut(tenant) else { continue };
            noted.sessions.retain(|which, ended| told.sessions.get(which) != Some(ended));
            for (user, all) in &told.users {
                if let Some(known) = noted.users.get_mut(user) {
                    known.retain(|ended| !all.contains(ended));
                }
            }
            noted.users.retain(|_, all| !all.is_empty());
        }
        self.tenants.retain(|_, noted| noted.entries() > 0);
    }
}

fn of_tenant<'a>(
    tenant: &'a TenantId,
    noted: &'a Noted,
) -> impl Iterator<Item = (&'a TenantId, &'a Name, &'a AllEnded)> {
    noted.users.iter().flat_map(move |(user, all)| all.iter().map(move |ended| (tenant, user, ended)))
}
