//! Single flight: of all who want to refresh a token one may, and its new token is taken only while it still may.
//!
//! A lease is exclusive for its time. Past it, another one may be given; until then the first can still commit, for it may
//! hold the only copy of a refresh token that the provider has just exchanged. A token that was stored otherwise or deleted
//! ends every lease.

use super::keys::{self, RecordName};
use super::records::ATTEMPTS;
use super::scripts::{LEASE, SETTLE};
use super::store::{Tokens, record};
use super::types::{Error, LeaseId, LeaseOutcome, Leased, Read};
use crate::base::duration::millis;
use crate::base::text::Name;
use crate::db::{self, Command};
use std::time::Duration;

/// Who asks for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresher {
    /// A client, whenever it wants.
    Client,
    /// This server, which waits after a failure.
    Server,
}

/// Why a lease is given back without a new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    /// There is nothing to be refreshed.
    Unneeded,
    /// The provider does not take the refresh token any more.
    Revoked,
    /// It failed, and the server is to wait so long.
    Failed(Duration),
}

impl Tokens {
    /// Asks to be the one who refreshes a token, for so long.
    pub async fn lease(&self, user: &Name, provider: &Name, ttl: Duration) -> Result<LeaseOutcome, Error> {
        self.lease_for(user, provider, ttl, Refresher::Client).await
    }

    pub(super) async fn lease_for(
        &self,
        user: &Name,
        provider: &Name,
        ttl: Duration,
        who: Refresher,
    ) -> Result<LeaseOutcome, Error> {
        let (name, lease) = (record(user, provider), LeaseId::random()?);
        for _ in 0..ATTEMPTS {
            let token = match self.read(user, provider).await? {
                Read::Found(token) => token,
                Read::NotFound => return Ok(LeaseOutcome::NotFound),
                Read::Expired => return Ok(LeaseOutcome::Expired),
                Read::Revoked => return Ok(LeaseOutcome::Revoked),
            };
            let keys = [name.key(&self.records.db), keys::fencing(&self.records.db, name.partition())];
            let command = Command::script(&LEASE, &keys.each_ref())
                .number(token.summary.version)
                .arg(lease.digest())
                .number(millis(ttl))
                .arg(if who == Refresher::Server { "server" } else { "" });
            let mut answer = self.records.db.run(command).await?.array()?.into_iter();
            let mut following = || answer.next().ok_or(db::Error::unexpected("a further answer"));
            match following()?.text()?.as_str() {
                "granted" => return Ok(LeaseOutcome::Granted(Leased { lease, fencing: following()?.count()?, token })),
                "held" => return Ok(LeaseOutcome::Held(Duration::from_millis(following()?.count()?))),
                "revoked" => return Ok(LeaseOutcome::Revoked),
                // What it is by now is read again.
                "changed" | "absent" | "expired" => {}
                _ => return Err(db::Error::unexpected("a known word").into()),
            }
        }
        Err(Error::Contended)
    }

    /// Gives a lease back: whether it was still in force.
    pub(super) async fn settle(
        &self,
        name: &RecordName,
        lease: &LeaseId,
        settlement: Settlement,
    ) -> Result<bool, Error> {
        let (word, pause) = match settlement {
            Settlement::Unneeded => ("", Duration::ZERO),
            Settlement::Revoked => ("revoked", Duration::ZERO),
            Settlement::Failed(pause) => ("", pause),
        };
        let command = Command::script(&SETTLE, &[&name.key(&self.records.db)])
            .arg(lease.digest())
            .arg(word)
            .number(millis(pause));
        Ok(self.records.db.run(command).await?.int()? == 1)
    }
}
