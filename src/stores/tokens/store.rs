//! The tokens of one tenant: each call one or two round trips, reading one of one command.

use super::content::{Part, Sealable, TokenDetails, TokenWhole, read, written};
use super::expiring::Expiring;
use super::keys::{self, RecordName};
use super::metrics::TokenMetrics;
use super::records::{Content, Expired, Records, Stored, Written};
use super::types::{Deleted, Error, LeaseId, NewToken, Put, Read, Token, TokenPage, TokenStatus, TokenSummary};
use crate::base::clock::Timestamp;
use crate::base::precondition::Precondition;
use crate::base::secret::Secret;
use crate::base::text::{Name, TenantId};
use crate::db::{self, TenantDb};
use crate::vault::{TenantVault, VaultError};
use bytes::Bytes;
use std::sync::Arc;

/// The most tokens of a user.
pub const MOST_TOKENS: u64 = 1000;

/// What all token stores of a process share.
#[derive(Clone, Default)]
pub struct Shared {
    pub(super) expiring: Arc<Expiring>,
    pub(super) metrics: Arc<TokenMetrics>,
}

/// The tokens of one tenant.
#[derive(Clone)]
pub struct Tokens {
    pub(super) records: Records,
    pub(super) expiring: Arc<Expiring>,
    pub(super) metrics: Arc<TokenMetrics>,
}

impl Tokens {
    /// The tokens in a tenant's data, sealed in its vault.
    pub fn new(db: TenantDb, vault: TenantVault, shared: &Shared) -> Tokens {
        let Shared { expiring, metrics } = shared.clone();
        Tokens { records: Records { db, vault }, expiring, metrics }
    }

    /// The same, for somebody who waits for nothing.
    pub(super) fn in_background(&self) -> Tokens {
        Tokens { records: self.records.in_background(), ..self.clone() }
    }

    /// Whose tokens they are.
    pub fn tenant(&self) -> &TenantId {
        self.records.db.tenant()
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.records.db.now()
    }

    /// Stores a token over whatever was there, if that is at a version that was asked for; with a lease only if that is
    /// the last one given and the token is as it was then.
    pub async fn put(
        &self,
        user: &Name,
        provider: &Name,
        new: &NewToken,
        asked: &Precondition,
        lease: Option<&LeaseId>,
    ) -> Result<Put<TokenSummary>, Error> {
        self.put_until(user, provider, new, asked, (lease, None)).await
    }

    /// The same; before `retry_at` the server does not refresh the token.
    pub(super) async fn put_until(
        &self,
        user: &Name,
        provider: &Name,
        new: &NewToken,
        asked: &Precondition,
        (lease, retry_at): (Option<&LeaseId>, Option<Timestamp>),
    ) -> Result<Put<TokenSummary>, Error> {
        let name = record(user, provider);
        let is_refreshable = new.refresh_token.is_some();
        let length = |secret: &Secret| secret.expose().len();
        let all = length(&new.access_token) + new.refresh_token.as_ref().map_or(0, length);
        let (token_type, scopes, metadata) = (new.token_type.clone(), new.scopes.clone(), new.metadata.clone());
        let whole = TokenWhole {
            access_token: Sealable(new.access_token.clone()),
            refresh_token: new.refresh_token.clone().map(Sealable),
            details: TokenDetails { token_type, scopes, metadata },
        };
        let details = written(&whole.details, 0)?;
        let (whole, TokenWhole { details: shown, .. }) = (written(&whole, all + details.len())?, whole);
        let content = Content { whole: &whole, details: &details, expires: new.expires_at, is_refreshable, retry_at };
        let lease = lease.map(LeaseId::digest);
        Ok(match self.records.write(&name, &content, asked, lease.as_deref(), MOST_TOKENS).await? {
            Written::Done { version, key, created, updated } => {
                self.metrics.sealed();
                if !is_refreshable && new.expires_at.is_some() {
                    self.expiring.expect(&self.records, name.partition());
                }
                let summary = TokenSummary {
                    provider: provider.clone(),
                    token_type: shown.token_type,
                    scopes: shown.scopes,
                    expires_at: new.expires_at,
                    is_refreshable,
                    status: TokenStatus::Active,
                    metadata: shown.metadata,
                    version,
                    key_version: key,
                    created_at: created,
                    updated_at: updated,
                };
                Put::Stored { stored: Box::new(summary), is_new: version == 1 }
            }
            Written::VersionMismatch => Put::VersionMismatch,
            Written::LeaseLost => Put::LeaseLost,
            Written::LimitReached => Put::LimitReached,
        })
    }

    /// Opens a token.
    pub async fn read(&self, user: &Name, provider: &Name) -> Result<Read, Error> {
        let name = record(user, provider);
        let mut last = None::<Bytes>;
        // One that does not open may have been sealed anew since it was read, and its data key destroyed.
        while let Some(stored) = self.records.read(&name).await? {
            if stored.is_revoked {
                return Ok(Read::Revoked);
            }
            if self.is_over(&stored) {
                match self.records.expire(&name).await? {
                    Expired::Now => return Ok(Read::Expired),
                    Expired::Gone => break,
                    // Its end is told by the backend's clock, of which this process has but an idea.
                    Expired::NotYet => {}
                }
            }
            match self.opened(provider, &name, &stored).await {
                Ok(token) => {
                    self.metrics.opened();
                    return Ok(Read::Found(Box::new(token)));
                }
                Err(VaultError::Unopenable) if last.as_ref() != Some(&stored.sealed) => last = Some(stored.sealed),
                Err(VaultError::Unopenable) => {
                    self.metrics.count_unreadable();
                    return Ok(Read::NotFound);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(if self.records.has_expired(&name).await? { Read::Expired } else { Read::NotFound })
    }

    /// At most `limit` of a user's tokens, by provider, from after `after`. Their secrets stay sealed.
    pub async fn list(&self, user: &Name, after: Option<&str>, limit: usize) -> Result<TokenPage, Error> {
        let list = keys::user_tokens(&self.records.db, user);
        let (providers, next) = self.records.names(&list, after, limit).await?;
        let names = providers.iter().map(|provider| {
            let provider = Name::parse(provider).map_err(|_| db::Error::unexpected("a name"))?;
            Ok(RecordName::Token { user: user.clone(), provider })
        });
        let names = names.collect::<Result<Vec<_>, db::Error>>()?;
        let mut items = Vec::with_capacity(names.len());
        for (name, stored) in names.iter().zip(self.records.read_many(&names, Part::Details).await?) {
            // One that was deleted between the two steps is no longer there.
            let (RecordName::Token { provider, .. }, Some(stored)) = (name, stored) else { continue };
            match self.summary(provider, name, &stored).await {
                Ok(summary) => items.push(summary),
                Err(VaultError::Unopenable) => self.metrics.count_unreadable(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(TokenPage { items, next })
    }

    /// Destroys a token.
    pub async fn delete(&self, user: &Name, provider: &Name, asked: &Precondition) -> Result<Deleted, Error> {
        self.records.remove(&record(user, provider), asked).await
    }

    async fn opened(&self, provider: &Name, name: &RecordName, stored: &Stored) -> Result<Token, VaultError> {
        let opened = name.open(&self.records.vault, Part::Whole, stored.version, &stored.sealed).await?;
        let TokenWhole { access_token, refresh_token, details } = read(&opened)?;
        Ok(Token {
            summary: self.shown(provider, details, stored),
            access_token: access_token.0,
            refresh_token: refresh_token.map(|secret| secret.0),
            retry_at: stored.retry_at,
        })
    }

    async fn summary(&self, provider: &Name, name: &RecordName, stored: &Stored) -> Result<TokenSummary, VaultError> {
        let opened = name.open(&self.records.vault, Part::Details, stored.version, &stored.details).await?;
        Ok(self.shown(provider, read(&opened)?, stored))
    }

    fn shown(&self, provider: &Name, details: TokenDetails, stored: &Stored) -> TokenSummary {
        let status = match stored {
            Stored { is_revoked: true, .. } => TokenStatus::Revoked,
            stored if self.is_over(stored) => TokenStatus::Expired,
            _ => TokenStatus::Active,
        };
        TokenSummary {
            provider: provider.clone(),
            token_type: details.token_type,
            scopes: details.scopes,
            expires_at: stored.expires,
            is_refreshable: stored.is_refreshable,
            status,
            metadata: details.metadata,
            version: stored.version,
            key_version: stored.key,
            created_at: stored.created,
            updated_at: stored.updated,
        }
    }

    fn is_over(&self, stored: &Stored) -> bool {
        !stored.is_refreshable && stored.expires.is_some_and(|end| end <= self.now())
    }
}

pub(super) fn record(user: &Name, provider: &Name) -> RecordName {
    RecordName::Token { user: user.clone(), provider: provider.clone() }
}
