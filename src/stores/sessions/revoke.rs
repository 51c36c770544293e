//! Ending sessions: one, several, or all of a user, with their refresh tokens. What was ended stays so: every
//! script that prolongs a session requires it to be there.

use super::id::{SessionId, SessionRef};
use super::keys;
use super::record::{HEAD, Head};
use super::scripts;
use super::store::{ATTEMPTS, Sessions, answer, pause};
use super::types::{Error, RevokeOutcome};
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use crate::db::{self, Command, Expiry, Key, Partition, Reply};
use std::time::Duration;

/// How many sessions one script ends at most.
const PER_SCRIPT: usize = 200;

/// How many rounds ending all sessions of a user may take: each ends all there are, so another one is only
/// needed for those that were created or changed meanwhile.
const ROUNDS: usize = 64;

/// How long the sessions of a user may be kept from moving, should nobody lift that.
const FENCED: Duration = Duration::from_secs(5);

/// What the revoke script answers.
enum Revoked {
    Moved,
    Ended { count: u64, left: u64 },
}

impl Sessions {
    /// Ends the session and its refresh token.
    pub async fn revoke(&self, at: &SessionRef, only: &Precondition) -> Result<RevokeOutcome, Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let Some(head) = self.any_head(at).await? else { return Ok(RevokeOutcome::Absent) };
            if !only.holds(Some(head.version)) {
                return Ok(RevokeOutcome::VersionMismatch);
            }
            let member = head.times.member(&at.fingerprint);
            let version = (*only != Precondition::default()).then_some(head.version);
            match self.revoke_at(&head.user, at, member, head.family, version).await? {
                Revoked::Moved => continue,
                Revoked::Ended { count: 0, .. } => return Ok(RevokeOutcome::Absent),
                Revoked::Ended { .. } => return Ok(RevokeOutcome::Revoked),
            }
        }
        Err(Error::EditConflict)
    }

    /// Ends the sessions: how many there were. Two round trips, however many.
    pub async fn revoke_many(&self, sessions: &[SessionRef]) -> Result<u64, Error> {
        let read = |at: &SessionRef| Command::hmget(&keys::session(&self.db, at), HEAD);
        let replies = self.db.pipeline(sessions.iter().map(read).collect()).await?;
        let mut found = Vec::new();
        for (at, reply) in sessions.iter().zip(replies) {
            if let Some(head) = self.readable(Head::read(reply)?) {
                found.push((at, head));
            }
        }
        let end = |(at, head): &(&SessionRef, Head)| {
            let victim = (head.times.member(&at.fingerprint), head.family.clone());
            self.revoke_command(&head.user, at.partition, std::slice::from_ref(&victim), None, None)
        };
        let replies = self.db.pipeline(found.iter().map(end).collect()).await?;
        let mut ended = 0;
        for ((at, _), reply) in found.iter().zip(replies) {
            ended += match revoked(reply)? {
                Revoked::Ended { count, .. } => count,
                Revoked::Moved => u64::from(self.revoke(at, &Precondition::default()).await? == RevokeOutcome::Revoked),
            };
        }
        Ok(ended)
    }

    /// Ends all sessions of a user, but for `except`: how many, those included that only waited for their
    /// refresh token. None that was there when it began is there when it returns.
    pub async fn revoke_all(&self, user: &Name, except: Option<&SessionId>) -> Result<u64, Error> {
        let mut ended = 0;
        for partition in self.partitions_of(user).await? {
            ended += self.revoke_in(user, partition, except.map(SessionId::reference)).await?;
        }
        Ok(ended)
    }

    async fn revoke_in(&self, user: &Name, at: Partition, except: Option<&SessionRef>) -> Result<u64, Error> {
        let spared = except.map(|except| except.fingerprint.as_str());
        let (first, done) = self.revoke_round(user, at, spared).await?;
        if done {
            return Ok(first);
        }
        // Some moved on under another id meanwhile. Whoever does that without end must not outrun this.
        let fence = keys::fence(&self.db, at, user.as_str());
        let mut ended = first;
        for _ in 0..ROUNDS {
            self.db.run(Command::set(&fence, "1", Expiry::After(FENCED))).await?.done()?;
            let (count, done) = self.revoke_round(user, at, spared).await?;
            ended += count;
            if done {
                self.db.run(Command::del(&fence)).await?.count()?;
                return Ok(ended);
            }
        }
        Err(Error::EditConflict)
    }

    /// Ends the sessions of a user that the index of a partition has now: how many, and whether no others are
    /// left.
    async fn revoke_round(&self, user: &Name, at: Partition, spared: Option<&str>) -> Result<(u64, bool), Error> {
        let here = keys::user_sessions(&self.db, at, user.as_str());
        let replies = self.db.run(Command::zrange_scored_above(&here, 0)).await?.array()?;
        let mut members = replies.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        members.retain(|member| Some(fingerprint_of(member)) != spared);
        let (mut ended, mut left) = (0, 0);
        for chunk in members.chunks(PER_SCRIPT) {
            let victims = self.with_families(at, chunk.to_vec()).await?;
            let (count, others) = self.revoke_members(user, at, &victims, spared).await?;
            ended += count;
            left = others;
        }
        Ok((ended, left == 0))
    }

    /// The refresh families of sessions that an index names.
    pub(super) async fn with_families(
        &self,
        at: Partition,
        members: Vec<String>,
    ) -> Result<Vec<(String, Option<String>)>, Error> {
        let family = |member: &String| Command::hmget(&self.session_key(at, member), &["family"]);
        let replies = self.db.pipeline(members.iter().map(family).collect()).await?;
        members
            .into_iter()
            .zip(replies)
            .map(|(member, reply)| {
                let [family] = reply.array_of()?;
                let family = family.optional_bytes()?.and_then(|bytes| String::from_utf8(bytes.into()).ok());
                Ok((member, family))
            })
            .collect()
    }

    /// Ends several sessions of a user in one partition: how many, and whether others are left there.
    pub(super) async fn revoke_members(
        &self,
        user: &Name,
        at: Partition,
        victims: &[(String, Option<String>)],
        spared: Option<&str>,
    ) -> Result<(u64, u64), Error> {
        match revoked(self.db.run(self.revoke_command(user, at, victims, None, spared)).await?)? {
            Revoked::Ended { count, left } => Ok((count, left)),
            Revoked::Moved => Ok((0, 1)),
        }
    }

    /// Ends one session that is as it was read; whether it was.
    async fn revoke_at(
        &self,
        user: &Name,
        at: &SessionRef,
        member: String,
        family: Option<String>,
        version: Option<u64>,
    ) -> Result<Revoked, Error> {
        let victim = (member, family);
        let command = self.revoke_command(user, at.partition, std::slice::from_ref(&victim), version, None);
        Ok(revoked(self.db.run(command).await?)?)
    }

    /// Ends what lies under an id and is not a live session.
    pub(super) async fn clear(
        &self,
        user: &Name,
        at: &SessionRef,
        member: String,
        family: Option<String>,
    ) -> Result<(), Error> {
        match self.revoke_at(user, at, member, family, None).await? {
            Revoked::Ended { .. } | Revoked::Moved => Ok(()),
        }
    }

    fn revoke_command(
        &self,
        user: &Name,
        at: Partition,
        victims: &[(String, Option<String>)],
        version: Option<u64>,
        spared: Option<&str>,
    ) -> Command {
        let here = keys::user_sessions(&self.db, at, user.as_str());
        let (all, expiries) = (keys::all(&self.db, at), keys::expiries(&self.db, at));
        let victim_keys: Vec<_> = victims.iter().flat_map(|victim| self.victim_keys(at, victim)).collect();
        let mut keys = vec![&here, &all, &expiries];
        keys.extend(&victim_keys);
        let command = Command::script(&scripts::REVOKE, &keys)
            .arg(user.as_str().to_owned())
            .arg(version.map(|version| version.to_string()).unwrap_or_default())
            .arg(spared.unwrap_or_default().to_owned())
            .arg("");
        victims.iter().fold(command, |command, (member, _)| command.arg(member.clone()))
    }

    /// The key of the session and of its refresh family, or the session's twice.
    pub(super) fn victim_keys(&self, at: Partition, (member, family): &(String, Option<String>)) -> [Key; 2] {
        let session = self.session_key(at, member);
        let family = family.as_deref().map_or_else(|| session.clone(), |family| keys::refresh(&self.db, at, family));
        [session, family]
    }

    /// The key of the session that a member of an index names.
    pub(super) fn session_key(&self, at: Partition, member: &str) -> Key {
        let at = SessionRef { partition: at, fingerprint: fingerprint_of(member).to_owned() };
        keys::session(&self.db, &at)
    }
}

/// The end of an index member, after the moment of the creation.
pub(super) fn fingerprint_of(member: &str) -> &str {
    member.split_at_checked(16).map_or("", |(_, fingerprint)| fingerprint)
}

fn revoked(reply: Reply) -> Result<Revoked, db::Error> {
    let (word, rest) = answer(reply)?;
    if word == "moved" {
        return Ok(Revoked::Moved);
    }
    let [count, left] = Reply::Array(rest).array_of()?;
    Ok(Revoked::Ended { count: count.count()?, left: left.count()? })
}
