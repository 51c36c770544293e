//! What this process holds for a tenant, with what is known of it kept in step: whoever changes a session here, changes
//! it through this.

use super::super::id::SessionRef;
use super::super::revoke::fingerprint_of;
use super::super::store::Sessions;
use super::super::types::{Error, RevokeOutcome, Session};
use super::Local;
use super::journal::Ended;
use super::ledger::Fate;
use crate::base::precondition::Precondition;
use crate::base::text::{Name, TenantId};
use crate::db::{self, Delivery, ErrorKind, Partition};
use std::collections::BTreeSet;
use tokio::sync::MutexGuard;

/// What this process holds, while nobody else looks at it.
pub(super) struct Here<'a> {
    pub(super) local: MutexGuard<'a, Local>,
    pub(super) sessions: Sessions,
    pub(super) tenant: &'a TenantId,
}

/// The backend cannot be asked, and what it would say is not known.
pub(super) fn away() -> Error {
    db::Error::new(ErrorKind::Unreachable, Delivery::NotSent).into()
}

impl Here<'_> {
    pub(super) fn fate(&self, at: &SessionRef) -> Fate {
        self.local.fate(self.tenant, at)
    }

    pub(super) fn changed(&mut self, session: &Session) {
        self.local.ledger.changed(self.tenant, session, None);
    }

    pub(super) fn renamed(&mut self, old: &SessionRef, session: &Session) {
        self.local.ledger.renamed(self.tenant, old, session);
        self.local.journal.renamed(self.tenant, &session.user_id, old, &session.reference);
    }

    pub(super) fn room_for(&self, sessions: usize, bytes: usize) -> Result<(), Error> {
        if self.local.ledger.has_room(self.tenant, sessions, bytes) { Ok(()) } else { Err(away()) }
    }

    pub(super) fn room_to_note(&self, entries: usize) -> Result<(), Error> {
        if self.local.journal.has_room(self.tenant, entries) { Ok(()) } else { Err(away()) }
    }

    /// The sessions of a user that a limit may end.
    pub(super) async fn limited(&self, user: &Name) -> Result<BTreeSet<(Partition, String)>, Error> {
        if self.sessions.settings.max_per_user == 0 { Ok(BTreeSet::new()) } else { self.members(user).await }
    }

    pub(super) async fn members(&self, user: &Name) -> Result<BTreeSet<(Partition, String)>, Error> {
        Ok(self.sessions.members_of(user, 0).await?.into_iter().collect())
    }

    /// Notes which of these have ended.
    pub(super) async fn note_ended(&mut self, user: &Name, before: BTreeSet<(Partition, String)>) -> Result<(), Error> {
        if before.is_empty() {
            return Ok(());
        }
        let after = self.members(user).await?;
        for (partition, member) in before.difference(&after) {
            let at = SessionRef { partition: *partition, fingerprint: fingerprint_of(member).to_owned() };
            self.end(&at);
        }
        Ok(())
    }

    /// Notes that a session has ended here. What may be on its way to the backend is kept from arriving there.
    pub(super) fn end(&mut self, at: &SessionRef) {
        if self.fate(at) == Fate::InDoubt {
            let ended = Ended { asked: u64::MAX, barred_until: self.local.ledger.ends(self.tenant, at) };
            self.local.journal.end(self.tenant, at, ended);
        }
        self.local.ledger.end(self.tenant, at);
    }

    /// Ends a session, known or not: nothing where a condition cannot be judged.
    pub(super) async fn revoke(
        &mut self,
        at: &SessionRef,
        only: &Precondition,
        now: u64,
    ) -> Result<RevokeOutcome, Error> {
        match self.fate(at) {
            Fate::Ended => return Ok(RevokeOutcome::Absent),
            Fate::InDoubt | Fate::Unknown if *only != Precondition::default() => return Err(away()),
            Fate::Unknown => {
                self.room_to_note(1)?;
                self.local.journal.end(self.tenant, at, Ended { asked: now, barred_until: 0 });
                return Ok(RevokeOutcome::Revoked);
            }
            Fate::InDoubt => self.room_to_note(1)?,
            Fate::Here => {}
        }
        let outcome = self.sessions.revoke(at, only).await?;
        if outcome != RevokeOutcome::VersionMismatch {
            self.end(at);
        }
        Ok(outcome)
    }
}
