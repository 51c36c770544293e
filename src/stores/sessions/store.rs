//! The session store of one tenant: what it holds, how it reads, and what its writers share.
//!
//! A read is one command in one round trip. Only when a use is due to be noted, at most once per tenth of
//! the lifetime, does a script follow.

use super::id::{SessionId, SessionRef};
use super::keys::{self, SessionKeys};
use super::record::{Found, HEAD, Head, Named, Record, Times, WHOLE};
use super::scripts;
use super::settings::SessionSettings;
use super::types::{Error, RenewOutcome, Session, Touch};
use super::upkeep::Upkeep;
use crate::base::clock::Timestamp;
use crate::base::duration::millis;
use crate::base::id::random_part;
use crate::base::precondition::Precondition;
use crate::db::{self, Command, Partition, Reply, TenantDb};
use crate::tenancy::SessionTtlPolicy;
use std::sync::Arc;
use std::time::Duration;

/// How often a writer that finds the session changed meanwhile tries again.
pub(super) const ATTEMPTS: usize = 32;

/// Lets the others finish before one more attempt: not at first, then for longer and longer, each for another
/// while, so that they do not meet again. All in all less than half a second, usually.
pub(super) async fn pause(attempt: usize) {
    if attempt >= 3 {
        tokio::time::sleep(random_part(Duration::from_millis(2 * attempt.min(16) as u64))).await;
    }
}

/// The sessions of one tenant.
#[derive(Clone)]
pub struct Sessions {
    pub(super) db: TenantDb,
    pub(super) settings: SessionSettings,
    pub(super) upkeep: Arc<Upkeep>,
}

impl Sessions {
    /// The sessions in a tenant's data, under the settings in effect for that tenant.
    pub fn new(db: TenantDb, settings: SessionSettings, upkeep: Arc<Upkeep>) -> Sessions {
        Sessions { db, settings, upkeep }
    }

    /// The session, or nothing; a use unless `touch` says otherwise.
    pub async fn read(&self, id: &SessionId, touch: Touch) -> Result<Option<Session>, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let reply = self.db.run(Command::hmget(&keys::session(&self.db, id.reference()), WHOLE)).await?;
            let now = self.db.now();
            let Some(record) = self.readable(Record::whole(reply)?) else { return Ok(None) };
            if !record.times.live(now) {
                return Ok(None);
            }
            if touch == Touch::No || !self.is_due(&record.times, now) {
                return Ok(Some(record.session(Named::Id(id), now)));
            }
            match self.touch(id, record.user.as_str(), &record.times, None).await? {
                Scripted::Done(record) => return Ok(Some(record.just_used(Named::Id(id)))),
                Scripted::Gone => return Ok(None),
                Scripted::Moved => continue,
            }
        }
        Err(Error::EditConflict)
    }

    /// Whether the session lives; not a use.
    pub async fn exists(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.read(id, Touch::No).await?.is_some())
    }

    /// The sessions, in the order of their ids, each or nothing: one round trip, not a use.
    pub async fn read_many(&self, ids: &[SessionId]) -> Result<Vec<Option<Session>>, Error> {
        let command = |id: &SessionId| Command::hmget(&keys::session(&self.db, id.reference()), WHOLE);
        let replies = self.db.pipeline(ids.iter().map(command).collect()).await?;
        let now = self.db.now();
        ids.iter()
            .zip(replies)
            .map(|(id, reply)| {
                let record = self.readable(Record::whole(reply)?).filter(|record| record.times.live(now));
                Ok(record.map(|record| record.session(Named::Id(id), now)))
            })
            .collect()
    }

    /// Gives the session a new expiry: `ttl` from now, and after each later use, or what the policy says.
    pub async fn extend(
        &self,
        id: &SessionId,
        ttl: Option<Duration>,
        only: &Precondition,
    ) -> Result<RenewOutcome, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(head) = self.head(id.reference()).await? else { return Ok(RenewOutcome::Absent) };
            if !only.holds(Some(head.version)) {
                return Ok(RenewOutcome::VersionMismatch);
            }
            match self.touch(id, head.user.as_str(), &head.times, ttl).await? {
                Scripted::Done(record) => return Ok(RenewOutcome::Renewed(record.just_used(Named::Id(id)))),
                Scripted::Gone => return Ok(RenewOutcome::Absent),
                Scripted::Moved => continue,
            }
        }
        Err(Error::EditConflict)
    }

    /// Gives the session a new id, under which it is returned; the old one is invalid at once.
    pub async fn rotate(&self, id: &SessionId, only: &Precondition) -> Result<RenewOutcome, Error> {
        let at = id.reference();
        let new = SessionId::random(at.partition)?;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(head) = self.head(at).await? else { return Ok(RenewOutcome::Absent) };
            if !only.holds(Some(head.version)) {
                return Ok(RenewOutcome::VersionMismatch);
            }
            self.remember(head.user.as_str(), at.partition, own_ttl(&head.times), Noted::Known).await?;
            let keys = SessionKeys::new(&self.db, at, head.user.as_str());
            let renamed = keys::session(&self.db, new.reference());
            let family = self.family_key(at, head.family.as_deref());
            let fence = keys::fence(&self.db, at.partition, head.user.as_str());
            let command = Command::script(
                &scripts::ROTATE,
                &[&keys.session, &renamed, &keys.user, &keys.all, &keys.expiries, &family, &fence],
            )
            .arg(at.fingerprint.clone())
            .arg(new.reference().fingerprint.clone())
            .arg(head.user.as_str().to_owned())
            .arg(head.family.unwrap_or_default());
            let command = self.policy(command).number(head.times.created_micros);
            match self.scripted(at, command).await? {
                Scripted::Done(record) => return Ok(RenewOutcome::Renewed(record.just_used(Named::Id(&new)))),
                Scripted::Gone => return Ok(RenewOutcome::Absent),
                Scripted::Moved => continue,
            }
        }
        Err(Error::EditConflict)
    }

    /// Notes a use of a session; `set` gives it another lifetime, exactly, from now on, if its times still are
    /// what was read.
    async fn touch(&self, id: &SessionId, user: &str, read: &Times, set: Option<Duration>) -> Result<Scripted, Error> {
        let at = id.reference();
        self.remember(user, at.partition, set.or(own_ttl(read)), Noted::Known).await?;
        let keys = SessionKeys::new(&self.db, at, user);
        let command = Command::script(&scripts::TOUCH, &[&keys.session, &keys.user, &keys.all, &keys.expiries])
            .arg(at.fingerprint.clone())
            .arg(user.to_owned());
        let command = match set {
            Some(ttl) => self.policy(command).arg("set").number(millis(ttl)).arg(read.text()),
            None => self.policy(command).arg("slide").arg("").arg(""),
        };
        self.scripted(at, command).await
    }

    async fn scripted(&self, at: &SessionRef, command: Command) -> Result<Scripted, Error> {
        let (word, rest) = answer(self.db.run(command).await?)?;
        Ok(match word.as_str() {
            "ok" => {
                self.upkeep.wrote(&self.db, at.partition);
                match self.readable(Record::whole(Reply::Array(rest))?) {
                    Some(record) => Scripted::Done(record),
                    None => Scripted::Gone,
                }
            }
            "gone" => Scripted::Gone,
            "moved" => Scripted::Moved,
            _ => return Err(db::Error::unexpected("a known word").into()),
        })
    }

    /// What a writer must know of a session that lives.
    pub(super) async fn head(&self, at: &SessionRef) -> Result<Option<Head>, Error> {
        Ok(self.any_head(at).await?.filter(|head| head.times.live(self.db.now())))
    }

    /// What a writer must know of a session that lives, or that a refresh token can bring back.
    pub(super) async fn any_head(&self, at: &SessionRef) -> Result<Option<Head>, Error> {
        let reply = self.db.run(Command::hmget(&keys::session(&self.db, at), HEAD)).await?;
        Ok(self.readable(Head::read(reply)?))
    }

    /// What can be read, counting what cannot.
    pub(super) fn readable<T>(&self, found: Found<T>) -> Option<T> {
        match found {
            Found::Session(session) => Some(session),
            Found::Absent => None,
            Found::Unreadable => {
                self.upkeep.count_unreadable();
                None
            }
        }
    }

    /// Whether a use has to be noted: a tenth of the lifetime has passed since the last one that was.
    fn is_due(&self, times: &Times, now: Timestamp) -> bool {
        let lifetime = match (own_ttl(times), self.settings.policy) {
            (Some(own), _) => own,
            (None, SessionTtlPolicy::Fixed) => self.settings.ttl,
            // A tenth of the shortest.
            (None, SessionTtlPolicy::Adaptive) => Duration::from_secs(900),
        };
        now.as_millis().saturating_sub(times.last_activity) >= (millis(lifetime) / 10).max(1)
    }

    /// Before a session lives longer in a partition that is not its user's home, the home has to know.
    pub(super) async fn remember(
        &self,
        user: &str,
        at: Partition,
        ttl: Option<Duration>,
        noted: Noted,
    ) -> Result<(), Error> {
        if Partition::of(user) == at {
            return Ok(());
        }
        let longest = ttl.unwrap_or(self.settings.ttl).max(Duration::from_secs(3600));
        let home = Partition::of(user);
        let (noted_at, expiries) = (keys::partitions(&self.db, user), keys::expiries(&self.db, home));
        let command = Command::script(&scripts::REMEMBER, &[&noted_at, &expiries])
            .arg(at.digits())
            .number(millis(longest))
            .arg(match noted {
                Noted::New => "new",
                Noted::Known => "known",
            })
            .arg(user.to_owned());
        self.db.run(command).await?.int()?;
        self.upkeep.wrote(&self.db, home);
        Ok(())
    }

    /// Appends the policy and the lifetime that goes with it.
    pub(super) fn policy(&self, command: Command) -> Command {
        let policy = match self.settings.policy {
            SessionTtlPolicy::Fixed => "fixed",
            SessionTtlPolicy::Adaptive => "adaptive",
        };
        command.arg(policy).number(millis(self.settings.ttl))
    }

    /// The key of a session's refresh family, or the session's own where there is none: scripts take a fixed
    /// number of keys.
    pub(super) fn family_key(&self, at: &SessionRef, family: Option<&str>) -> db::Key {
        match family {
            Some(family) => keys::refresh(&self.db, at.partition, family),
            None => keys::session(&self.db, at),
        }
    }
}

/// For what a partition is noted. A full backend refuses to note what is to be written, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// A session that is to be written.
    New,
    /// A session that is there.
    Known,
}

/// What a script made of a session.
enum Scripted {
    Done(Record),
    Gone,
    Moved,
}

/// Splits a script's answer into its first word and the rest.
pub(super) fn answer(reply: Reply) -> Result<(String, Vec<Reply>), db::Error> {
    let mut items = reply.array()?.into_iter();
    let word = items.next().ok_or(db::Error::unexpected("a word"))?.text()?;
    Ok((word, items.collect()))
}

/// The moments that a script answered last.
pub(super) fn times(mut rest: Vec<Reply>) -> Result<Times, db::Error> {
    let text = rest.pop().ok_or(db::Error::unexpected("times"))?.bytes()?;
    Times::parse(&text).ok_or(db::Error::unexpected("times"))
}

pub(super) fn own_ttl(times: &Times) -> Option<Duration> {
    (times.own_ttl > 0).then(|| Duration::from_millis(times.own_ttl))
}
