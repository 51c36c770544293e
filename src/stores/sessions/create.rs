//! Creating a session, and making room for it where a user may have only so many.
//!
//! Within one partition, which is where all sessions of a user lie unless clients chose ids, the limit is
//! exact: one script counts, evicts and creates. Across partitions it is as good as counting first and
//! creating after can be.

use super::counts::Became;
use super::id::SessionId;
use super::keys::{self, SessionKeys};
use super::record::{Found, HEAD, Head, Named, Record};
use super::refresh_token::Token;
use super::revoke::{Victim, Why};
use super::scripts;
use super::store::{self, ATTEMPTS, Noted, Sessions, answer, pause};
use super::types::{CreateOutcome, Error, NewSession, RefreshToken};
use crate::base::clock::Timestamp;
use crate::base::duration::millis;
use crate::base::text::Name;
use crate::db::{self, Command, Partition, Reply};
use crate::tenancy::SessionLimitPolicy;
use std::time::Duration;

impl Sessions {
    /// Creates a session under the id that was given or a random one.
    pub async fn create(&self, new: NewSession) -> Result<CreateOutcome, Error> {
        let id = match &new.id {
            Some(chosen) if chosen.is_reserved() => return Ok(CreateOutcome::ReservedId),
            Some(chosen) => chosen.clone(),
            None => SessionId::random(Partition::of(new.user_id.as_str()))?,
        };
        let at = id.reference().partition;
        let token = if new.refresh { Some(Token::random(at)?) } else { None };
        let longest = if new.refresh { self.settings.refresh_ttl } else { Duration::ZERO };
        let longest = new.ttl.unwrap_or(self.settings.ttl).max(longest);
        self.remember(new.user_id.as_str(), at, Some(longest), Noted::New).await?;

        let mut victims: Vec<Victim> = Vec::new();
        let mut counted = at != Partition::of(new.user_id.as_str());
        if counted && !self.make_room(&new.user_id).await? {
            return Ok(CreateOutcome::LimitReached);
        }
        // Each competitor that is faster ends what this one was to end.
        for attempt in 0..3 * ATTEMPTS {
            pause(attempt).await;
            let spare = if attempt == 0 { 0 } else { SPARE };
            let command = self.create_command(&new, &id, token.as_ref(), counted, &victims, spare);
            let (word, rest) = answer(self.db.run(command).await?)?;
            match word.as_str() {
                "ok" => {
                    self.upkeep.wrote(&self.db, at);
                    let [evicted, times] = Reply::Array(rest).array_of()?;
                    self.upkeep.counts().count(Became::Evicted, evicted.count()?);
                    let times = store::times(vec![times])?;
                    let refresh = token.map(|token| RefreshToken {
                        token: token.text(),
                        expires_at: Timestamp::from_millis(times.kept_until),
                    });
                    let record =
                        Record { user: new.user_id, data: Some(new.data), metadata: new.metadata, version: 1, times };
                    return Ok(CreateOutcome::Created { session: record.just_used(Named::Id(&id)), refresh });
                }
                "exists" => return Ok(CreateOutcome::Exists),
                "limit" => return Ok(CreateOutcome::LimitReached),
                "remains" => self.clear_remains(&id, &new.user_id).await?,
                "evict" => {
                    let here = |reply: db::Reply| reply.text().map(|member| (at, member));
                    let members = rest.into_iter().map(here).collect::<Result<Vec<_>, _>>()?;
                    if members.len() >= EVICTED_AT_ONCE {
                        self.evict(&new.user_id, members).await?;
                        victims.clear();
                    } else {
                        let families = self.families(&members).await?;
                        victims = members.into_iter().map(|(_, member)| member).zip(families).collect();
                    }
                }
                "elsewhere" => {
                    counted = true;
                    if !self.make_room(&new.user_id).await? {
                        return Ok(CreateOutcome::LimitReached);
                    }
                }
                _ => return Err(db::Error::unexpected("a known word").into()),
            }
        }
        Err(Error::EditConflict)
    }

    fn create_command(
        &self,
        new: &NewSession,
        id: &SessionId,
        token: Option<&Token>,
        counted: bool,
        victims: &[Victim],
        spare: usize,
    ) -> Command {
        let (at, user) = (id.reference(), new.user_id.as_str());
        let keys = SessionKeys::new(&self.db, at, user);
        let family = token.map(Token::family_fingerprint);
        let family_key = self.family_key(at, family.as_deref());
        let elsewhere = if counted { keys.session.clone() } else { keys::partitions(&self.db, user) };
        let victim_keys: Vec<_> = victims.iter().flat_map(|victim| self.victim_keys(at.partition, victim)).collect();
        let mut all = vec![&keys.session, &keys.user, &keys.all, &keys.expiries, &family_key, &elsewhere];
        all.extend(&victim_keys);

        let command = Command::script(&scripts::CREATE, &all)
            .arg(at.fingerprint.clone())
            .arg(user.to_owned())
            .arg(new.data.as_str().to_owned())
            .arg(new.metadata.as_str().to_owned());
        let command = self
            .policy(command)
            .number(new.ttl.map_or(0, millis))
            .number(new.absolute_ttl.map_or(0, millis))
            .number(if counted { 0 } else { self.settings.max_per_user })
            .arg(match self.settings.limit_policy {
                SessionLimitPolicy::Reject => "reject",
                SessionLimitPolicy::EvictOldest => "evict_oldest",
            })
            .arg(family.unwrap_or_default())
            .number(millis(self.settings.refresh_ttl))
            .arg(token.map(Token::secret_fingerprint).unwrap_or_default())
            .number(spare as i128);
        victims.iter().fold(command, |command, (member, _)| command.arg(member.clone()))
    }

    /// Counts a user's sessions in all partitions and ends the oldest until one more may be, if the policy is
    /// to; whether one more may be.
    pub(super) async fn make_room(&self, user: &Name) -> Result<bool, Error> {
        let limit = self.settings.max_per_user as usize;
        if limit == 0 {
            return Ok(true);
        }
        let mut members = self.members_of(user, self.db.now().as_millis()).await?;
        if members.len() < limit {
            return Ok(true);
        }
        if self.settings.limit_policy == SessionLimitPolicy::Reject {
            return Ok(false);
        }
        members.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
        members.truncate(members.len() + 1 - limit);
        self.evict(user, members).await?;
        Ok(true)
    }

    /// Ends sessions of a user to make room.
    async fn evict(&self, user: &Name, members: Vec<(Partition, String)>) -> Result<(), Error> {
        let (ended, _) = self.revoke_members(user, members, None, Why::Room).await?;
        self.upkeep.counts().count(Became::Evicted, ended);
        Ok(())
    }

    /// Clears what lies under an id without being a live session: one that only waits for its refresh token,
    /// or one that cannot be read.
    async fn clear_remains(&self, id: &SessionId, user: &Name) -> Result<(), Error> {
        let at = id.reference();
        let reply = self.db.run(Command::hmget(&keys::session(&self.db, at), HEAD)).await?;
        let (owner, member, family) = match Head::read(reply)? {
            Found::Absent => return Ok(()),
            // Its place in the indexes is not known; it leaves them when they are trimmed.
            Found::Unreadable => (user.clone(), format!("{:016}{}", 0, at.fingerprint), None),
            Found::Session(head) => (head.user, head.times.member(&at.fingerprint), head.family),
        };
        self.clear(&owner, at, member, family).await
    }
}

/// As many members as the create script names at once.
const EVICTED_AT_ONCE: usize = 100;

/// How many sessions more than needed one is prepared to end that was outrun: the next ones to go.
const SPARE: usize = 16;
