//! Handing the sessions of this process over to the backend, a few at a time, each step with everybody else kept
//! out: a session is served by one of the two at any moment, and nothing is written to it in between.
//!
//! A step that fails may have arrived. Its sessions are then in doubt, and neither read nor written until it has been
//! repeated: the backend knows what has been written to it once, and does not take it again.

use super::super::id::SessionRef;
use super::super::keys::{self, SessionKeys};
use super::super::record::Times;
use super::super::scripts;
use super::super::store::{Noted, Sessions};
use super::super::types::Error;
use super::{Local, Standby};
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
    async fn remember_all(&self, sessions: &[Snapshot]) -> Result<(), Error> {
        let now = self.db.now().as_millis();
        for session in sessions {
            let left = session.times.expires.max(session.times.kept_until).saturating_sub(now);
            let left = Some(Duration::from_millis(left));
            self.remember(session.user.as_str(), session.at.partition, left, Noted::New).await?;
        }
        Ok(())
    }

    async fn which_are_revoked(&self, sessions: &[Snapshot]) -> Result<Vec<bool>, Error> {
        let known: Vec<_> = sessions.iter().map(|one| (&one.user, one.times.created_micros, &one.at)).collect();
        self.are_revoked(&known).await
    }

    async fn clear_snapshot(&self, session: &Snapshot) -> Result<(), Error> {
        let member = session.times.member(&session.at.fingerprint);
        self.clear(&session.user, &session.at, member, session.family.clone()).await
    }
}

impl Standby {
    /// Hands over some sessions. Whether there were any.
    pub(super) async fn hand_over_some(&self) -> Result<bool, Error> {
        let mut local = self.local.lock().await;
        let Some((tenant, some)) = local.ledger.some(SESSIONS) else { return Ok(false) };
        let (here, there) = (local.sessions(&tenant, &self.settings), self.backend_sessions(&tenant));
        let (mut sessions, mut bytes) = (Vec::new(), 0);
        for at in &some {
            match here.snapshot(at).await? {
                // It has ended by time, or made room for another one.
                None => local.ledger.end(&tenant, at),
                Some(session) => {
                    bytes += session.bytes();
                    sessions.push(session);
                }
            }
            if bytes > BYTES {
                break;
            }
        }
        // Those in doubt may be there already: they are asked about below, whether they were revoked or not.
        let revoked = there.which_are_revoked(&sessions).await?;
        there.remember_all(&sessions).await?;
        let mut kept = Vec::with_capacity(sessions.len());
        for (session, revoked) in sessions.into_iter().zip(revoked) {
            if revoked && local.is_certain(&tenant, &session.at) {
                here.clear_snapshot(&session).await?;
                local.ledger.end(&tenant, &session.at);
            } else {
                kept.push(session);
            }
        }
        let (written, outcome) = write(&mut local, &tenant, &there, kept).await;
        let revoked = there.which_are_revoked(&written).await?;
        for (session, revoked) in written.iter().zip(revoked) {
            if revoked {
                there.clear_snapshot(session).await?;
            }
            here.clear_snapshot(session).await?;
            local.ledger.hand_over(&tenant, &session.at);
        }
        outcome.map(|()| true)
    }
}

/// Writes sessions to the backend: those that are there, and what was wrong with the others. All are in doubt until they
/// have been handed over, but for those that cannot have arrived.
async fn write(
    local: &mut Local,
    tenant: &TenantId,
    there: &Sessions,
    sessions: Vec<Snapshot>,
) -> (Vec<Snapshot>, Result<(), Error>) {
    let certain: Vec<_> = sessions.iter().map(|session| local.is_certain(tenant, &session.at)).collect();
    for session in &sessions {
        local.ledger.doubt(tenant, &session.at, true);
    }
    let replies = there.db.pipeline(sessions.iter().map(|session| there.restore_command(session)).collect()).await;
    let (mut outcome, not_sent) = match &replies {
        Ok(_) => (Ok(()), false),
        Err(error) => (Err(Error::from(error.clone())), error.delivery == Delivery::NotSent),
    };
    let mut replies = replies.unwrap_or_default().into_iter();
    let mut written = Vec::with_capacity(sessions.len());
    for (session, certain) in sessions.into_iter().zip(certain) {
        let did_nothing = match replies.next().map(Reply::text) {
            Some(Ok(_)) => {
                there.upkeep.wrote(&there.db, session.at.partition);
                written.push(session);
                continue;
            }
            Some(Err(error)) => {
                outcome = outcome.and(Err(error.into()));
                true
            }
            None => not_sent,
        };
        if did_nothing && certain {
            local.ledger.doubt(tenant, &session.at, false);
        }
    }
    (written, outcome)
}
