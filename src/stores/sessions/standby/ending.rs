//! Ending sessions in place of the backend: what is not known here is noted, and the backend told after the outage.

use super::super::id::SessionRef;
use super::super::types::{Error, RevokeOutcome};
use super::Phase;
use super::journal::AllEnded;
use super::ledger::Fate;
use super::standing::Standing;
use crate::base::clock::Clock;
use crate::base::precondition::Precondition;
use crate::base::text::Name;

impl Standing {
    pub(super) async fn revoke(&self, at: &SessionRef, only: &Precondition) -> Result<RevokeOutcome, Error> {
        let mut here = self.lock().await;
        if here.fate(at) == Fate::Unknown && here.local.phase != Phase::Away {
            drop(here);
            return self.backend.revoke(at, only).await;
        }
        let outcome = here.revoke(at, only, self.standby.clock.micros()).await?;
        self.answers_from_here();
        Ok(outcome)
    }

    pub(super) async fn revoke_many(&self, sessions: &[SessionRef]) -> Result<u64, Error> {
        let mut here = self.lock().await;
        let is_noted = |at: &&SessionRef| matches!(here.fate(at), Fate::InDoubt | Fate::Unknown);
        here.room_to_note(sessions.iter().filter(is_noted).count())?;
        let (mut ended, mut elsewhere) = (0, Vec::new());
        for at in sessions {
            if here.fate(at) == Fate::Unknown && here.local.phase != Phase::Away {
                elsewhere.push(at.clone());
            } else {
                let outcome = here.revoke(at, &Precondition::default(), self.standby.clock.micros()).await?;
                ended += u64::from(outcome == RevokeOutcome::Revoked);
                self.answers_from_here();
            }
        }
        drop(here);
        Ok(ended + self.backend.revoke_many(&elsewhere).await?)
    }

    pub(super) async fn revoke_all(&self, user: &Name, except: Option<&SessionRef>) -> Result<u64, Error> {
        let mut here = self.lock().await;
        here.room_to_note(1)?;
        let before = here.members(user).await?;
        let ended = here.sessions.revoke_all(user, except).await?;
        here.note_ended(user, before).await?;
        if here.local.phase == Phase::Away {
            let spared = except.map(|except| except.fingerprint.clone());
            let noted = AllEnded { asked: self.standby.clock.micros(), spared };
            here.local.journal.end_all(here.tenant, user, noted);
            self.answers_from_here();
            return Ok(ended);
        }
        drop(here);
        Ok(ended + self.backend.revoke_all_everywhere(user, except).await?)
    }
}
