//! Telling the backend what has been ended without it, and learning from it what others have ended.
//!
//! A revocation ends what was there when it was asked for: whoever signs in afterwards, anywhere, stays signed in. When
//! that was is known to within a second: the backend's clock is estimated here, and cannot be asked in an outage.

use super::super::id::SessionRef;
use super::super::keys;
use super::super::record::{HEAD, Head};
use super::super::revoke::{Revoked, Why, fingerprint_of, revoked};
use super::super::scripts;
use super::super::store::{ATTEMPTS, Sessions, pause};
use super::super::types::Error;
use super::journal::{AllEnded, Ended};
use crate::base::duration::millis;
use crate::base::text::Name;
use crate::db::{Command, ErrorKind, Expiry, Partition, Reply};
use std::collections::BTreeSet;
use std::time::Duration;

/// How far what this process takes for the backend's clock may be off. In doubt a revocation wins.
const ACCURACY_MICROS: u64 = 1_000_000;

/// How many sessions one round trip is about.
const PER_TRIP: usize = 500;

/// How long others are told that all sessions of a user were ended: longer than a server is away from the backend.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

impl Sessions {
    /// Ends these sessions, as far as they are not newer than that.
    pub(super) async fn end_noted(&self, noted: &[(&SessionRef, Ended)]) -> Result<(), Error> {
        for trip in noted.chunks(PER_TRIP) {
            self.bar(trip).await?;
            self.end_some(trip).await?;
        }
        Ok(())
    }

    /// Keeps what may still be under way to the backend from being written there.
    async fn bar(&self, noted: &[(&SessionRef, Ended)]) -> Result<(), Error> {
        let now = self.db.now().as_millis();
        let barred = noted.iter().filter(|(_, ended)| ended.barred_until > now);
        let bar = |(at, ended): &(&SessionRef, Ended)| {
            let left = Duration::from_millis(ended.barred_until - now);
            Command::set(&keys::restored(&self.db, at), "1", Expiry::After(left))
        };
        for reply in self.db.pipeline(barred.map(bar).collect()).await? {
            reply.done()?;
        }
        Ok(())
    }

    async fn end_some(&self, noted: &[(&SessionRef, Ended)]) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let read = |(at, _): &(&SessionRef, Ended)| Command::hmget(&keys::session(&self.db, at), HEAD);
            let replies = self.db.pipeline(noted.iter().map(read).collect()).await?;
            let mut ends = Vec::new();
            for ((at, ended), reply) in noted.iter().zip(replies) {
                let Some(head) = self.readable(Head::read(reply)?) else { continue };
                if head.times.created_micros <= ended.asked.saturating_add(ACCURACY_MICROS) {
                    let victim = (head.times.member(&at.fingerprint), head.family);
                    let victims = std::slice::from_ref(&victim);
                    ends.push(self.revoke_command(&head.user, at.partition, victims, None, None, Why::Asked));
                }
            }
            if ends.is_empty() {
                return Ok(());
            }
            for reply in self.db.pipeline(ends).await? {
                match revoked(reply)? {
                    Revoked::Ended { .. } | Revoked::Moved => {}
                }
            }
        }
        Err(Error::EditConflict)
    }

    /// Ends all sessions of a user that are not newer than that.
    pub(super) async fn end_all_noted(&self, user: &Name, noted: &AllEnded) -> Result<(), Error> {
        let spared = noted.spared.as_deref();
        self.mark_revocation(user, spared, Some(noted.asked)).await?;
        let mut fenced: BTreeSet<Partition> = BTreeSet::new();
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            // What has ended by time is nobody's, and its index may name what has another life by now.
            let mut members = self.members_of(user, self.db.now().as_millis()).await?;
            members.retain(|(_, member)| {
                created(member) <= noted.asked.saturating_add(ACCURACY_MICROS) && Some(fingerprint_of(member)) != spared
            });
            if members.is_empty() {
                return self.lift_fences(user, &fenced).await;
            }
            if attempt > 0 {
                fenced.extend(members.iter().map(|(at, _)| *at));
                self.raise_fences(user, &fenced).await?;
            }
            self.revoke_members(user, members, spared, Why::Asked).await?;
        }
        Err(Error::EditConflict)
    }

    /// Tells servers that hold sessions of this user for themselves that all were ended, at that moment in microseconds
    /// or now.
    pub(super) async fn mark_revocation(
        &self,
        user: &Name,
        spared: Option<&str>,
        asked: Option<u64>,
    ) -> Result<(), Error> {
        let command = Command::script(&scripts::MARK, &[&keys::revocations(&self.db, user.as_str())])
            .arg(spared.unwrap_or("-").to_owned())
            .number(millis(REMEMBERED))
            .arg(asked.map(|asked| asked.to_string()).unwrap_or_default());
        match self.db.run(command).await.and_then(Reply::int) {
            Ok(_) => Ok(()),
            // A full backend has no room for the note: that is no reason not to end what is there.
            Err(error) if error.kind == ErrorKind::Full => {
                tracing::warn!("the backend is full: servers that are cut off from it were not told of a revocation");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether each of these sessions (of this user, created then) has been ended with all of its user's.
    pub(super) async fn are_revoked(&self, sessions: &[(Name, u64, SessionRef)]) -> Result<Vec<bool>, Error> {
        let ask = |(user, created, _): &(Name, u64, SessionRef)| {
            Command::zrange_scored_above(&keys::revocations(&self.db, user.as_str()), created.saturating_sub(1))
        };
        let replies = self.db.pipeline(sessions.iter().map(ask).collect()).await?;
        let mut revoked = Vec::with_capacity(sessions.len());
        for ((_, _, at), reply) in sessions.iter().zip(replies) {
            let mut ended = false;
            for spared in reply.array()? {
                ended |= spared.text()? != at.fingerprint;
            }
            revoked.push(ended);
        }
        Ok(revoked)
    }
}

/// When the session that a member of an index names was created, in microseconds.
fn created(member: &str) -> u64 {
    member.get(..16).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
