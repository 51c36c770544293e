//! Single flight: of all who want to refresh a token one may, and its new token is taken only while it still may.
//!
//! A lease is exclusive for its time. Past it, another one may be given; until then the first can still commit, for it may
//! hold the only copy of a refresh token that the provider has just exchanged. A token that was stored otherwise or deleted
//! ends every lease.

use super::keys::RecordName;
use super::records::Stored;
use super::scripts::{LEASE, SETTLE};
use super::store::{Tokens, record};
use super::types::{Error, LeaseId, LeaseOutcome, Leased};
use crate::base::duration::millis;
use crate::base::text::Name;
use crate::db::{self, Command};
use crate::vault::VaultError;
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
        let command = Command::script(&LEASE, &[&name.key(&self.records.db)])
            .arg(lease.digest())
            .number(millis(ttl))
            .arg(if who == Refresher::Server { "server" } else { "" });
        let mut answer = self.records.db.run(command).await?.array()?.into_iter();
        let mut following = || answer.next().ok_or(db::Error::unexpected("a further answer"));
        Ok(match following()?.text()?.as_str() {
            "granted" => {
                let (fencing, _now) = (following()?.count()?, following()?.count()?);
                let stored = Stored::read(following()?.array()?)?.ok_or(db::Error::unexpected("a record"))?;
                match self.opened(provider, &name, &stored).await {
                    Ok(token) => LeaseOutcome::Granted(Leased { lease, fencing, token: Box::new(token) }),
                    Err(VaultError::Unopenable) => {
                        self.metrics.count_unreadable();
                        self.settle(&name, &lease, Settlement::Unneeded).await?;
                        LeaseOutcome::NotFound
                    }
                    Err(error) => {
                        // Nobody has it, and another server may have the root key that this one lacks.
                        if let Err(error) = self.settle(&name, &lease, Settlement::Unneeded).await {
                            tracing::debug!(%error, "a lease that nobody has stays until its end");
                        }
                        return Err(error.into());
                    }
                }
            }
            "held" => LeaseOutcome::Held(Duration::from_millis(following()?.count()?)),
            "revoked" => LeaseOutcome::Revoked,
            "expired" => LeaseOutcome::Expired,
            "absent" if self.records.has_expired(&name).await? => LeaseOutcome::Expired,
            "absent" => LeaseOutcome::NotFound,
            _ => return Err(db::Error::unexpected("a known word").into()),
        })
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
