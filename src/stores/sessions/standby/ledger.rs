//! What this process knows of the sessions that it holds for itself: which there are, how much room they take,
//! which have ended, and of which nobody knows whether the backend has them already.
//!
//! Without it an id that names nothing here could not be told from one that the backend knows.

use super::super::id::SessionRef;
use super::super::types::Session;
use super::Bounds;
use crate::base::clock::Timestamp;
use crate::base::text::TenantId;
use std::collections::{HashMap, HashSet};

/// What a session takes beside what its client gave it: keys, fields and its places in the indexes. Measured, with a
/// user of its own.
const OVERHEAD: usize = 4608;

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// In this process and nowhere else.
    Here,
    /// In this process, and perhaps in the backend too: it was being written there when the backend failed.
    InDoubt,
    /// It was here and has ended, or has another id.
    Ended,
    /// Not here; perhaps in the backend.
    Unknown,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    /// When it has ended for certain, in milliseconds.
    ends: u64,
    family: Option<String>,
    in_doubt: bool,
}

#[derive(Default)]
struct Known {
    held: HashMap<SessionRef, Held>,
    /// The session of each refresh family.
    families: HashMap<String, SessionRef>,
    ended: HashSet<SessionRef>,
    bytes: usize,
    in_doubt: usize,
}

/// The sessions of all tenants.
pub(super) struct Ledger {
    bounds: Bounds,
    tenants: HashMap<TenantId, Known>,
    held: usize,
    ended: usize,
    bytes: usize,
}

impl Ledger {
    pub(super) fn new(bounds: Bounds) -> Ledger {
        Ledger { bounds, tenants: HashMap::new(), held: 0, ended: 0, bytes: 0 }
    }

    pub(super) fn fate(&self, tenant: &TenantId, at: &SessionRef) -> Fate {
        let Some(known) = self.tenants.get(tenant) else { return Fate::Unknown };
        match known.held.get(at) {
            Some(held) if held.in_doubt => Fate::InDoubt,
            Some(_) => Fate::Here,
            None if known.ended.contains(at) => Fate::Ended,
            None => Fate::Unknown,
        }
    }

    /// The session of a refresh family that began here.
    pub(super) fn of_family(&self, tenant: &TenantId, family: &str) -> Option<&SessionRef> {
        self.tenants.get(tenant)?.families.get(family)
    }

    /// Whether so many sessions more of this tenant fit, or so many bytes.
    pub(super) fn has_room(&self, tenant: &TenantId, sessions: usize, bytes: usize) -> bool {
        let (held, taken) = self.tenants.get(tenant).map_or((0, 0), |known| (known.held.len(), known.bytes));
        let bytes = sessions * OVERHEAD + bytes;
        (sessions == 0 || super::fits(held, self.held, sessions, self.bounds.sessions))
            && super::fits(taken, self.bytes, bytes, self.bounds.bytes)
    }

    /// A session is here now, with this refresh family.
    pub(super) fn hold(&mut self, tenant: &TenantId, session: &Session, family: Option<String>) {
        let known = self.tenants.entry(tenant.clone()).or_default();
        known.held.insert(session.reference.clone(), Held { family: family.clone(), ..Held::default() });
        known.families.extend(family.map(|family| (family, session.reference.clone())));
        self.held += 1;
        self.changed(tenant, session, None);
    }

    /// A session is as it is now; `kept` is until when a refresh token can bring it back.
    pub(super) fn changed(&mut self, tenant: &TenantId, session: &Session, kept: Option<Timestamp>) {
        let Some(known) = self.tenants.get_mut(tenant) else { return };
        let Some(held) = known.held.get_mut(&session.reference) else { return };
        let ends = kept.map_or(session.expires_at, |kept| kept.max(session.expires_at));
        held.ends = held.ends.max(ends.as_millis());
        let data = session.data.as_ref().map_or(0, |data| data.as_str().len());
        let bytes = OVERHEAD + data + session.metadata.as_str().len() + session.user_id.as_str().len();
        self.bytes = self.bytes - held.bytes + bytes;
        known.bytes = known.bytes - held.bytes + bytes;
        held.bytes = bytes;
    }

    /// A session has another id now.
    pub(super) fn renamed(&mut self, tenant: &TenantId, old: &SessionRef, session: &Session) {
        let known = self.tenants.get_mut(tenant);
        let family = known.and_then(|known| known.held.get(old)).map(|held| (held.family.clone(), held.ends));
        let Some((family, ends)) = family.filter(|_| *old != session.reference) else { return };
        self.end(tenant, old);
        self.hold(tenant, session, family);
        self.changed(tenant, session, Some(Timestamp::from_millis(ends)));
    }

    /// A session has ended.
    pub(super) fn end(&mut self, tenant: &TenantId, at: &SessionRef) {
        let Some(held) = self.let_go(tenant, at) else { return };
        let Some(known) = self.tenants.get_mut(tenant) else { return };
        if super::fits(known.ended.len(), self.ended, 1, self.bounds.noted) {
            self.ended += usize::from(known.ended.insert(at.clone()));
        } else if let Some(family) = held.family {
            // Beyond the bound what has ended is unknown again: 503 in place of 404.
            known.families.remove(&family);
        }
    }

    /// A session is the backend's now.
    pub(super) fn hand_over(&mut self, tenant: &TenantId, at: &SessionRef) {
        if let Some(family) = self.let_go(tenant, at).and_then(|held| held.family)
            && let Some(known) = self.tenants.get_mut(tenant)
        {
            known.families.remove(&family);
        }
    }

    fn let_go(&mut self, tenant: &TenantId, at: &SessionRef) -> Option<Held> {
        let known = self.tenants.get_mut(tenant)?;
        let held = known.held.remove(at)?;
        known.bytes -= held.bytes;
        known.in_doubt -= usize::from(held.in_doubt);
        self.held -= 1;
        self.bytes -= held.bytes;
        Some(held)
    }

    /// Nobody knows whether the backend has it, or that is known again.
    pub(super) fn doubt(&mut self, tenant: &TenantId, at: &SessionRef, in_doubt: bool) {
        let Some(known) = self.tenants.get_mut(tenant) else { return };
        let Some(held) = known.held.get_mut(at) else { return };
        known.in_doubt -= usize::from(held.in_doubt);
        known.in_doubt += usize::from(in_doubt);
        held.in_doubt = in_doubt;
    }

    /// When a session will have ended for certain, in milliseconds.
    pub(super) fn ends(&self, tenant: &TenantId, at: &SessionRef) -> u64 {
        self.tenants.get(tenant).and_then(|known| known.held.get(at)).map_or(0, |held| held.ends)
    }

    /// Some sessions of one tenant: as long as there are some in doubt, of those.
    pub(super) fn some(&self, most: usize) -> Option<(TenantId, Vec<SessionRef>)> {
        let of = |wanted: fn(&Known) -> bool| self.tenants.iter().find(|(_, known)| wanted(known));
        let (tenant, known) = of(|known| known.in_doubt > 0).or_else(|| of(|known| !known.held.is_empty()))?;
        let wanted = known.held.iter().filter(|(_, held)| held.in_doubt || known.in_doubt == 0);
        Some((tenant.clone(), wanted.take(most).map(|(at, _)| at.clone()).collect()))
    }

    /// Makes room of what has ended by time.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let over = |held: &Held| held.ends <= now.as_millis();
        let mut ended = Vec::new();
        for (tenant, known) in &self.tenants {
            ended.extend(known.held.iter().filter(|(_, held)| over(held)).map(|(at, _)| (tenant.clone(), at.clone())));
        }
        for (tenant, at) in ended {
            self.end(&tenant, &at);
        }
    }

    pub(super) fn holds_nothing(&self) -> bool {
        self.held == 0
    }

    /// How many sessions are here.
    pub(super) fn held(&self) -> usize {
        self.held
    }
}
