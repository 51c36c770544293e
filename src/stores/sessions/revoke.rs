//! Ending sessions: one, several, or all of a user, with their refresh tokens. What was ended stays so: every
//! script that prolongs a session requires it to be there.

use super::id::SessionRef;
use super::keys;
use super::record::{HEAD, Head, is_wrong_type};
use super::scripts;
use super::store::{ATTEMPTS, Sessions, answer, pause};
use super::types::{Error, RevokeOutcome};
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use crate::db::{self, Command, Expiry, Key, Partition, Reply};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many sessions one script ends at most.
const PER_SCRIPT: usize = 200;

/// How many sessions one round trip is about at most: a few hundred kilobytes.
const PER_TRIP: usize = 4000;

/// How many rounds ending all sessions of a user may take: each ends all there are, so another one is only
/// needed for those that were created or changed meanwhile.
const ROUNDS: usize = 64;

/// How long the sessions of a user may be kept from moving, should nobody lift that.
const FENCED: Duration = Duration::from_secs(5);

/// A session to be ended: its member of the indexes, and its refresh family.
pub(super) type Victim = (String, Option<String>);

/// Why sessions are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody wants that.
    Asked,
    /// Another one is to be created. A full backend refuses that, so that none is ended for nothing.
    Room,
}

/// What the revoke script answers.
pub(super) enum Revoked {
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
            self.revoke_command(&head.user, at.partition, std::slice::from_ref(&victim), None, None, Why::Asked)
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
    /// refresh token. None that was there when it began is there when it returns. Four round trips, however
    /// many sessions in however many partitions, unless some change meanwhile or there are thousands.
    pub async fn revoke_all(&self, user: &Name, except: Option<&SessionRef>) -> Result<u64, Error> {
        let spared = except.map(|except| except.fingerprint.as_str());
        let mut partitions = self.partitions_of(user).await?;
        let mut fenced = BTreeSet::new();
        let mut ended = 0;
        for _ in 0..=ROUNDS {
            let mut members = self.members_in(user, &partitions, 0).await?;
            members.retain(|(_, member)| Some(fingerprint_of(member)) != spared);
            let (count, left) = self.revoke_members(user, members, spared, Why::Asked).await?;
            ended += count;
            if left.is_empty() {
                self.lift_fences(user, &fenced).await?;
                return Ok(ended);
            }
            // Some moved on under another id meanwhile. Whoever does that without end must not outrun this.
            self.raise_fences(user, &left).await?;
            fenced.extend(&left);
            partitions = left;
        }
        Err(Error::EditConflict)
    }

    /// Keeps the user's sessions in these partitions from moving, for a while.
    pub(super) async fn raise_fences(&self, user: &Name, at: &BTreeSet<Partition>) -> Result<(), Error> {
        let raise =
            |at: &Partition| Command::set(&keys::fence(&self.db, *at, user.as_str()), "1", Expiry::After(FENCED));
        for reply in self.db.pipeline(at.iter().map(raise).collect()).await? {
            reply.done()?;
        }
        Ok(())
    }

    /// Lets them move again.
    pub(super) async fn lift_fences(&self, user: &Name, at: &BTreeSet<Partition>) -> Result<(), Error> {
        let lift = |at: &Partition| Command::del(&keys::fence(&self.db, *at, user.as_str()));
        for reply in self.db.pipeline(at.iter().map(lift).collect()).await? {
            reply.count()?;
        }
        Ok(())
    }

    /// Ends these sessions of a user: how many, and the partitions of those in which others are left. A pair of
    /// round trips for each few thousand.
    pub(super) async fn revoke_members(
        &self,
        user: &Name,
        mut members: Vec<(Partition, String)>,
        spared: Option<&str>,
        why: Why,
    ) -> Result<(u64, BTreeSet<Partition>), Error> {
        members.sort_unstable();
        let mut ended = 0;
        let mut left: BTreeMap<Partition, u64> = BTreeMap::new();
        for trip in members.chunks(PER_TRIP) {
            let families = self.families(trip).await?;
            let (mut places, mut commands) = (Vec::new(), Vec::new());
            let mut families = families.into_iter();
            for chunk in trip.chunk_by(|(one, _), (next, _)| one == next).flat_map(|same| same.chunks(PER_SCRIPT)) {
                let Some((at, _)) = chunk.first() else { continue };
                let victims: Vec<Victim> =
                    chunk.iter().map(|(_, member)| member.clone()).zip(families.by_ref()).collect();
                places.push(*at);
                commands.push(self.revoke_command(user, *at, &victims, None, spared, why));
            }
            for (at, reply) in places.into_iter().zip(self.db.pipeline(commands).await?) {
                let (count, others) = match revoked(reply)? {
                    Revoked::Ended { count, left } => (count, left),
                    Revoked::Moved => (0, 1),
                };
                ended += count;
                // Where one script found no others, there were none at that moment.
                left.entry(at).and_modify(|least| *least = others.min(*least)).or_insert(others);
            }
        }
        Ok((ended, left.into_iter().filter(|(_, others)| *others > 0).map(|(at, _)| at).collect()))
    }

    /// The refresh families of sessions that an index names, in the same order.
    pub(super) async fn families(&self, members: &[(Partition, String)]) -> Result<Vec<Option<String>>, Error> {
        let family = |(at, member): &(Partition, String)| Command::hmget(&self.session_key(*at, member), &["family"]);
        let replies = self.db.pipeline(members.iter().map(family).collect()).await?;
        let family = |reply: Reply| {
            if is_wrong_type(&reply) {
                return Ok(None);
            }
            let [family] = reply.array_of()?;
            Ok(family.optional_bytes()?.and_then(|bytes| String::from_utf8(bytes.into()).ok()))
        };
        replies.into_iter().map(family).collect()
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
        let command = self.revoke_command(user, at.partition, std::slice::from_ref(&victim), version, None, Why::Asked);
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

    pub(super) fn revoke_command(
        &self,
        user: &Name,
        at: Partition,
        victims: &[Victim],
        version: Option<u64>,
        spared: Option<&str>,
        why: Why,
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
            .arg(match why {
                Why::Asked => "",
                Why::Room => "room",
            });
        victims.iter().fold(command, |command, (member, _)| command.arg(member.clone()))
    }

    /// The key of the session and of its refresh family, or the session's twice.
    pub(super) fn victim_keys(&self, at: Partition, (member, family): &Victim) -> [Key; 2] {
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

pub(super) fn revoked(reply: Reply) -> Result<Revoked, db::Error> {
    let (word, rest) = answer(reply)?;
    if word == "moved" {
        return Ok(Revoked::Moved);
    }
    let [count, left] = Reply::Array(rest).array_of()?;
    Ok(Revoked::Ended { count: count.count()?, left: left.count()? })
}
