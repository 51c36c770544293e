//! How the server may refresh tokens by itself: the token endpoint of each provider, and its client there.

use super::content::{Part, ProviderDetails, ProviderWhole, Sealable, read, written};
use super::keys::{self, RecordName};
use super::metrics::TokenMetrics;
use super::oauth::AuthStyle;
use super::records::{Content, Records, Stored, Written};
use super::store::Shared;
use super::types::{Deleted, Error, Put};
use crate::base::clock::Timestamp;
use crate::base::precondition::Precondition;
use crate::base::secret::Secret;
use crate::base::text::{Name, TenantId};
use crate::db::{self, TenantDb};
use crate::vault::{TenantVault, VaultError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The most providers of a tenant.
pub const MOST_PROVIDERS: u64 = 1000;

/// The settings of a provider, but for the client's secret.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its token endpoint; checked.
    pub token_url: String,
    /// What the provider calls this client.
    pub client_id: String,
    /// How it proves that it is that client.
    pub auth_style: AuthStyle,
    /// What is asked for when a token is refreshed; as before when empty.
    pub scopes: Vec<String>,
    /// How long before its end a token is refreshed.
    pub refresh_before: Duration,
}

/// A provider as it is shown.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: Name,
    /// Its settings.
    pub settings: ProviderSettings,
    /// Counts its changes, from 1.
    pub version: u64,
    /// The version of the data key under which it is sealed.
    pub key_version: u32,
    /// When it was set first, by the backend's clock.
    pub created_at: Timestamp,
    /// When it was set last, by the backend's clock.
    pub updated_at: Timestamp,
}

/// Names nothing of it: a URL may hold a secret in its query.
impl std::fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderSettings")
    }
}

/// A provider with what proves the client.
#[derive(Debug, Clone)]
pub struct OpenedProvider {
    /// The provider.
    pub provider: Provider,
    /// The client's secret there.
    pub client_secret: Secret,
}

/// The providers of one tenant.
#[derive(Clone)]
pub struct Providers {
    records: Records,
    metrics: Arc<TokenMetrics>,
}

impl Providers {
    /// The providers in a tenant's data, sealed in its vault.
    pub fn new(db: TenantDb, vault: TenantVault, shared: &Shared) -> Providers {
        Providers { records: Records { db, vault }, metrics: shared.metrics.clone() }
    }

    pub(super) fn tenant(&self) -> &TenantId {
        self.records.db.tenant()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.records.db.now()
    }

    /// Sets a provider, in place of what was set before.
    pub async fn put(
        &self,
        name: &Name,
        settings: ProviderSettings,
        client_secret: Secret,
        asked: &Precondition,
    ) -> Result<Put<Provider>, Error> {
        let details = ProviderDetails {
            token_url: settings.token_url.clone(),
            client_id: settings.client_id.clone(),
            auth_style: settings.auth_style,
            scopes: settings.scopes.clone(),
            refresh_before_ms: crate::base::duration::millis(settings.refresh_before),
        };
        let shown = written(&details, 0)?;
        let length = client_secret.expose().len() + shown.len();
        let whole = written(&ProviderWhole { client_secret: Sealable(client_secret), details }, length)?;
        let content = Content { whole: &whole, details: &shown, expires: None, is_refreshable: true, retry_at: None };
        let record = RecordName::Provider(name.clone());
        Ok(match self.records.write(&record, &content, asked, None, MOST_PROVIDERS).await? {
            Written::Done { version, key, created, updated } => Put::Stored {
                stored: Box::new(Provider {
                    name: name.clone(),
                    settings,
                    version,
                    key_version: key,
                    created_at: created,
                    updated_at: updated,
                }),
                is_new: version == 1,
            },
            Written::VersionMismatch => Put::VersionMismatch,
            Written::LeaseLost => Put::LeaseLost,
            Written::LimitReached => Put::LimitReached,
        })
    }

    /// A provider, opened; nothing where there is none or what there is does not open.
    pub async fn read(&self, name: &Name) -> Result<Option<OpenedProvider>, Error> {
        let record = RecordName::Provider(name.clone());
        let mut last = None::<Bytes>;
        while let Some(stored) = self.records.read(&record).await? {
            let opened = record.open(&self.records.vault, Part::Whole, stored.version, &stored.sealed).await;
            match opened.and_then(|opened| read(&opened)) {
                Ok(ProviderWhole { client_secret, details }) => {
                    let provider = provider(name, details, &stored);
                    return Ok(Some(OpenedProvider { provider, client_secret: client_secret.0 }));
                }
                Err(VaultError::Unopenable) if last.as_ref() != Some(&stored.sealed) => last = Some(stored.sealed),
                Err(VaultError::Unopenable) => {
                    self.metrics.count_unreadable();
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// At most `limit` providers, by name, from after `after`, and the name after which the list goes on.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Provider>, Option<String>), Error> {
        let (names, next) = self.records.names(&keys::providers(&self.records.db), after, limit).await?;
        let named = |name: &String| Name::parse(name).map_err(|_| db::Error::unexpected("a name"));
        let names = names.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let records: Vec<RecordName> = names.iter().cloned().map(RecordName::Provider).collect();
        let mut items = Vec::with_capacity(names.len());
        for ((name, record), stored) in
            names.iter().zip(&records).zip(self.records.read_many(&records, Part::Details).await?)
        {
            // One that was deleted between the two steps is no longer there.
            let Some(stored) = stored else { continue };
            let opened = record.open(&self.records.vault, Part::Details, stored.version, &stored.details).await;
            match opened.and_then(|opened| read(&opened)) {
                Ok(details) => items.push(provider(name, details, &stored)),
                Err(VaultError::Unopenable) => self.metrics.count_unreadable(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((items, next))
    }

    /// Forgets a provider.
    pub async fn delete(&self, name: &Name, asked: &Precondition) -> Result<Deleted, Error> {
        self.records.remove(&RecordName::Provider(name.clone()), asked).await
    }
}

fn provider(name: &Name, details: ProviderDetails, stored: &Stored) -> Provider {
    Provider {
        name: name.clone(),
        settings: ProviderSettings {
            token_url: details.token_url,
            client_id: details.client_id,
            auth_style: details.auth_style,
            scopes: details.scopes,
            refresh_before: Duration::from_millis(details.refresh_before_ms),
        },
        version: stored.version,
        key_version: stored.key,
        created_at: stored.created,
        updated_at: stored.updated,
    }
}
