//! Handing the sessions of this process over to the backend, a few at a time. While a step is under way its sessions
//! are in doubt, and neither read nor written: a session is served by one of the two at any moment. Ended they can be:
//! that is noted, and the backend told after the step. Nobody else waits for the backend meanwhile.
//!
//! A step that fails may have arrived. Its sessions then stay in doubt until it has been repeated: the backend knows
//! what has been written to it once, and does not take it again.

use super::super::id::SessionRef;
use super::super::keys::{self, SessionKeys};
use super::super::record::Times;
use super::super::scripts;
use super::super::store::{Noted, Sessions};
use super::super::types::Error;
use super::Standby;
use super::ledger::Fate;
use crate::base::text::{Name, TenantId};
use crate::db::{self, Command, Delivery, Reply};
use bytes::Bytes;
use std::time::Duration;

/// How many sessions one step is about, and how many bytes of them.
const SESSIONS: usize = 200;
const BYTES: usize = 1 << 20;

const FIELDS: &[&str] = &["user", "data", "metadata", "version", "times", "family"];
const FAMILY_FIELDS: &[&str] = &["current", "previous", "salt", "rotated", "session", "user", "expires"];

/// A session as it is stored here, with its refresh family.
pub(super) struct Snapshot {
    at: SessionRef,
    user: Name,
    times: Times,
    family: Option<String>,
    /// User, data, metadata, version, times, family.
    fields: Vec<Bytes>,
    /// The fields of the family, each with its value.
    family_fields: Vec<Bytes>,
}

impl Snapshot {
    fn bytes(&self) -> usize {
        self.fields.iter().map(Bytes::len).sum()
    }

    fn read(at: &SessionRef, fields: Vec<Option<Bytes>>) -> Option<Snapshot> {
        let text = |field: usize| std::str::from_utf8(fields.get(field)?.as_deref()?).ok();
        Some(Snapshot {
            at: at.clone(),
            user: Name::parse(text(0)?).ok()?,
            times: Times::parse(text(4)?.as_bytes())?,
            family: text(5).map(str::to_owned),
            family_fields: Vec::new(),
            fields: fields.into_iter().map(Option::unwrap_or_default).collect(),
        })
    }
}

/// What has become of a session in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// Nothing.
    Untouched,
    /// It may be in the backend.
    InDoubt,
    /// It is in the backend, or was.
    Written,
    /// It had been ended elsewhere before.
    Ended,
}

/// A session of a step.
struct Taken {
    session: Snapshot,
    /// Whether it cannot be in the backend yet.
    is_certain: bool,
    became: Became,
}

fn optional(replies: Vec<Reply>) -> Result<Vec<Option<Bytes>>, db::Error> {
    replies.into_iter().map(Reply::optional_bytes).collect()
}

impl Sessions {
    async fn snapshot(&self, at: &SessionRef) -> Result<Option<Snapshot>, Error> {
        let stored = self.db.run(Command::hmget(&keys::session(&self.db, at), FIELDS)).await?.array()?;
        let Some(mut snapshot) = Snapshot::read(at, optional(stored)?) else { return Ok(None) };
        if let Some(family) = &snapshot.family {
            let key = keys::refresh(&self.db, at.partition, family);
            let values = optional(self.db.run(Command::hmget(&key, FAMILY_FIELDS)).await?.array()?)?;
            for (name, value) in FAMILY_FIELDS.iter().zip(values) {
                snapshot
                    .family_fields
                    .extend(value.into_iter().flat_map(|value| [Bytes::from_static(name.as_bytes()), value]));
            }
        }
        Ok(Some(snapshot))
    }

    fn restore_command(&self, session: &Snapshot) -> Command {
        let keys = SessionKeys::new(&self.db, &session.at, session.user.as_str());
        let family = self.family_key(&session.at, session.family.as_deref());
        let restored = keys::restored(&self.db, &session.at);
        let all = [&keys.session, &keys.user, &keys.all, &keys.expiries, &family, &restored];
        let command = Command::script(&scripts::RESTORE, &all).arg(session.at.fingerprint.clone());
        session.fields.iter().chain(&session.family_fields).fold(command, |command, field| command.arg(field.clone()))
    }

    /// Before they are written: their users' homes have to know of the partitions in which they lie.
    async fn remember_all(&self, taken: &[Taken]) -> Result<(), Error> {
        let now = self.db.now().as_millis();
        for Taken { session, .. } in taken {
            let left = session.times.expires.max(session.times.kept_until).saturating_sub(now);
            let left = Some(Duration::from_millis(left));
            self.remember(session.user.as_str(), session.at.partition, left, Noted::New).await?;
        }
        Ok(())
    }

    async fn which_are_revoked(&self, taken: &[Taken]) -> Result<Vec<bool>, Error> {
        let known =
            |Taken { session, .. }: &Taken| (session.user.clone(), session.times.created_micros, session.at.clone());
        self.are_revoked(&taken.iter().map(known).collect::<Vec<_>>()).await
    }

    async fn clear_snapshot(&self, session: &Snapshot) -> Result<(), Error> {
        let member = session.times.member(&session.at.fingerprint);
        self.clear(&session.user, &session.at, member, session.family.clone()).await
    }

    /// Takes over what has not been ended elsewhere.
    async fn take_over(&self, taken: &mut [Taken]) -> Result<(), Error> {
        // Those in doubt may be there already: they are asked about below, whether they were revoked or not.
        let revoked = self.which_are_revoked(taken).await?;
        self.remember_all(taken).await?;
        for (one, revoked) in taken.iter_mut().zip(revoked) {
            if revoked && one.is_certain {
                one.became = Became::Ended;
            }
        }
        let outcome = self.write_all(taken).await;
        let ended = self.end_revoked(taken).await;
        if ended.is_err() {
            // They have arrived, and may have to be ended there: that is found out when they are written again.
            let written = taken.iter_mut().filter(|one| one.became == Became::Written);
            written.for_each(|one| one.became = Became::InDoubt);
        }
        outcome.and(ended)
    }

    /// Ends what has been ended elsewhere while it was being written.
    async fn end_revoked(&self, taken: &[Taken]) -> Result<(), Error> {
        if taken.iter().all(|one| one.became != Became::Written) {
            return Ok(());
        }
        let revoked = self.which_are_revoked(taken).await?;
        for (one, revoked) in taken.iter().zip(revoked) {
            if revoked && one.became == Became::Written {
                self.clear_snapshot(&one.session).await?;
            }
        }
        Ok(())
    }

    /// Writes sessions, and notes which of them have arrived for certain.
    async fn write_all(&self, taken: &mut [Taken]) -> Result<(), Error> {
        let mut taken: Vec<_> = taken.iter_mut().filter(|one| one.became == Became::Untouched).collect();
        let replies = self.db.pipeline(taken.iter().map(|one| self.restore_command(&one.session)).collect()).await;
        let replies = match replies {
            Ok(replies) => replies,
            Err(error) => {
                if error.delivery != Delivery::NotSent {
                    taken.iter_mut().for_each(|one| one.became = Became::InDoubt);
                }
                return Err(error.into());
            }
        };
        let mut outcome = Ok(());
        for (one, reply) in taken.into_iter().zip(replies) {
            match reply.text() {
                Ok(_) => {
                    self.upkeep.wrote(&self.db, one.session.at.partition);
                    one.became = Became::Written;
                }
                Err(error) => outcome = outcome.and(Err(error.into())),
            }
        }
        outcome
    }
}

impl Standby {
    /// Hands over some sessions. Whether there were any.
    pub(super) async fn hand_over_some(&self) -> Result<bool, Error> {
        let step = self.step.lock().await;
        let Some((tenant, mut taken)) = self.take_some().await? else { return Ok(false) };
        let outcome = self.backend_sessions(&tenant).take_over(&mut taken).await;
        let mut local = self.local.lock().await;
        let here = local.sessions(&tenant, &self.settings);
        for Taken { session, is_certain, became } in &taken {
            match became {
                Became::Untouched => local.ledger.doubt(&tenant, &session.at, !is_certain),
                Became::InDoubt => {}
                Became::Written => {
                    here.clear_snapshot(session).await?;
                    local.ledger.hand_over(&tenant, &session.at);
                }
                Became::Ended => {
                    here.clear_snapshot(session).await?;
                    local.ledger.end(&tenant, &session.at);
                }
            }
        }
        drop(step);
        outcome.map(|()| true)
    }

    /// Sessions for one step, which are in doubt from now on.
    async fn take_some(&self) -> Result<Option<(TenantId, Vec<Taken>)>, Error> {
        let mut local = self.local.lock().await;
        let Some((tenant, some)) = local.ledger.some(SESSIONS) else { return Ok(None) };
        let here = local.sessions(&tenant, &self.settings);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for at in &some {
            match here.snapshot(at).await? {
                // It has ended by time, or made room for another one.
                None => local.ledger.end(&tenant, at),
                Some(session) => {
                    bytes += session.bytes();
                    let is_certain = local.ledger.fate(&tenant, at) == Fate::Here;
                    local.ledger.doubt(&tenant, at, true);
                    taken.push(Taken { session, is_certain, became: Became::Untouched });
                }
            }
            if bytes > BYTES {
                break;
            }
        }
        Ok(Some((tenant, taken)))
    }
}
