//! Refreshing: a good token for the next one, once. Whoever presents it again within the grace gets the same
//! answer, because a client that lost the first one must not be signed out; whoever comes with an older one
//! has it from somewhere, so nobody keeps the session.

use super::id::SessionRef;
use super::keys::{self, SessionKeys};
use super::record::{Named, Record};
use super::refresh_token::Token;
use super::scripts;
use super::store::{ATTEMPTS, Noted, Sessions, answer, own_ttl, pause};
use super::types::{Error, RefreshOutcome, RefreshToken, Touch};
use crate::base::clock::Timestamp;
use crate::base::duration::millis;
use crate::base::id;
use crate::db::{self, Command, Partition, Reply};

impl Sessions {
    /// Takes a refresh token and gives its successor, and the session under a new id. A session that has
    /// ended by time comes back with what it held; one that was revoked does not.
    pub async fn refresh(&self, token: &str) -> Result<RefreshOutcome, Error> {
        let Some(token) = Token::parse(token) else { return Ok(RefreshOutcome::Invalid) };
        let family = token.family_fingerprint();
        let family_key = keys::refresh(&self.db, token.partition, &family);
        let salt = id::random_base64url()?;
        let (next, new_id) = token.successor(&salt)?;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await;
            let reply = self.db.run(Command::hmget(&family_key, &["session", "user"])).await?;
            let [session, user] = reply.array_of()?;
            let (Some(fingerprint), Some(user)) = (text(session)?, text(user)?) else {
                return Ok(RefreshOutcome::Invalid);
            };
            let at = SessionRef { partition: token.partition, fingerprint };
            self.remember_refreshed(&at, &user).await?;
            let keys = SessionKeys::new(&self.db, &at, &user);
            let fence = keys::fence(&self.db, at.partition, &user);
            let renamed = keys::session(&self.db, new_id.reference());
            let command = Command::script(
                &scripts::REFRESH,
                &[&family_key, &keys.session, &renamed, &keys.user, &keys.all, &keys.expiries, &fence],
            )
            .arg(family.clone())
            .arg(at.fingerprint)
            .arg(user)
            .arg(new_id.reference().fingerprint.clone())
            .arg(token.secret_fingerprint())
            .arg(next.secret_fingerprint())
            .arg(salt.clone())
            .number(millis(self.settings.refresh_grace))
            .number(millis(self.settings.refresh_ttl));
            let (word, rest) = answer(self.db.run(self.policy(command)).await?)?;
            match word.as_str() {
                "ok" => {
                    self.upkeep.wrote(&self.db, token.partition);
                    let Some(record) = self.readable(Record::whole(Reply::Array(rest))?) else {
                        return Ok(RefreshOutcome::Invalid);
                    };
                    let refresh = RefreshToken {
                        token: next.text(),
                        expires_at: Timestamp::from_millis(record.times.kept_until),
                    };
                    return Ok(RefreshOutcome::Refreshed { session: record.just_used(Named::Id(&new_id)), refresh });
                }
                "repeat" => return self.repeated(&token, rest).await,
                "reused" => {
                    tracing::warn!(
                        tenant = %self.db.tenant(),
                        event = "session.reuse_detected",
                        "a used refresh token came back; its session and its family are revoked"
                    );
                    return Ok(RefreshOutcome::Reused);
                }
                "invalid" => return Ok(RefreshOutcome::Invalid),
                "moved" => continue,
                _ => return Err(db::Error::unexpected("a known word").into()),
            }
        }
        Err(Error::EditConflict)
    }

    /// The answer that the first presenter got, if its session still is under the id that it got.
    async fn repeated(&self, token: &Token, rest: Vec<Reply>) -> Result<RefreshOutcome, Error> {
        let [salt, expires] = Reply::Array(rest).array_of()?;
        let expires_at = Timestamp::from_millis(expires.count()?);
        let (next, id) = token.successor(&salt.text()?)?;
        Ok(match self.read(&id, Touch::No).await? {
            Some(session) => {
                RefreshOutcome::Refreshed { session, refresh: RefreshToken { token: next.text(), expires_at } }
            }
            None => RefreshOutcome::Invalid,
        })
    }

    async fn remember_refreshed(&self, at: &SessionRef, user: &str) -> Result<(), Error> {
        if Partition::of(user) == at.partition {
            return Ok(());
        }
        let own = self.settings.ttl.max(self.settings.refresh_ttl);
        let own = match self.any_head(at).await? {
            Some(head) => own_ttl(&head.times).map_or(own, |ttl| ttl.max(own)),
            None => own,
        };
        self.remember(user, at.partition, Some(own), Noted::Known).await
    }
}

fn text(reply: Reply) -> Result<Option<String>, db::Error> {
    Ok(reply.optional_bytes()?.and_then(|bytes| String::from_utf8(bytes.into()).ok()))
}
