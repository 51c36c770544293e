//! What an admin does to API keys. A key of another tenant and one that does not exist are the same.

use super::api_key::{ApiKey, KeyId};
use super::keys::{API_KEY, API_KEY_USED, CHANGES, TENANT_KEYS};
use super::listing::{self, Listing};
use super::registry::{ATTEMPTS, Registry};
use super::scope::Scopes;
use super::scripts::{CREATE_KEY, REVOKE_KEY, ROTATE_KEY};
use super::tenant::Label;
use crate::base::clock::Timestamp;
use crate::base::id::NoRandomness;
use crate::base::secret::Secret;
use crate::base::text::TenantId;
use crate::db::{Command, Error, Key};
use bytes::Bytes;
use std::time::Duration;

/// What a new key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What people call it.
    pub name: Option<Label>,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key as an admin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// The key.
    pub key: ApiKey,
    /// The hour in which it was used last; nothing when it never was.
    pub last_used: Option<Timestamp>,
}

/// Why no key could be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] Error),
    /// There is no randomness to be had.
    #[error("{NoRandomness}")]
    NoRandomness,
    /// Others kept changing the same key; nothing was written.
    #[error("others kept changing the key")]
    Contended,
}

impl From<NoRandomness> for IssueError {
    fn from(_: NoRandomness) -> Self {
        IssueError::NoRandomness
    }
}

impl Registry {
    /// Issues a key for a tenant: the key, and its whole text, which nobody can show again. Nothing when
    /// there is no such tenant.
    pub async fn create_key(&self, tenant: &TenantId, new: NewKey) -> Result<Option<(ApiKey, Secret)>, IssueError> {
        let (key, secret) = ApiKey::issue(tenant.clone(), new.name, new.scopes, new.expires_at, self.db.now())?;
        let keys = [self.tenant_key(tenant), self.api_key(key.id), self.keys_of(tenant), self.db.key(&CHANGES, &[])];
        let script = Command::script(&CREATE_KEY, &keys.each_ref()).arg(key.id.as_str().to_owned()).arg(key.write()?);
        Ok(self.change(script).await?.then_some((key, secret)))
    }

    /// At most `limit` keys of a tenant, by id, from after the id `after`; expired ones too. Nothing when
    /// there is no such tenant.
    pub async fn list_keys(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<Listing<ApiKeyInfo>>, Error> {
        let look = vec![
            Command::get(&self.tenant_key(tenant)),
            Command::zrange_after(&self.keys_of(tenant), after, limit + 1),
        ];
        let [found, ids] = self.db.pipeline(look).await?.try_into().map_err(|_| Error::unexpected("two answers"))?;
        let (found, (ids, next)) = (found.optional_bytes()?, listing::page(ids, limit)?);
        if found.is_none() {
            return Ok(None);
        }
        let both = |id: &String| [&API_KEY, &API_KEY_USED].map(|family| Command::get(&self.db.key(family, &[id])));
        let mut items = Vec::with_capacity(ids.len());
        let reads = ids.iter().flat_map(both).collect();
        let mut replies = self.db.pipeline(reads).await?.into_iter();
        while let (Some(record), Some(used)) = (replies.next(), replies.next()) {
            let (record, used) = (record.optional_bytes()?, used.optional_bytes()?);
            // One that was revoked between the two steps is no longer there.
            if let Some(record) = record {
                items.push(ApiKeyInfo { key: ApiKey::read(&record)?, last_used: used.as_ref().and_then(hour) });
            }
        }
        Ok(Some(Listing { items, next }))
    }

    /// Revokes a tenant's key: whether there was one. It is refused here at once and everywhere within a
    /// second.
    pub async fn revoke_key(&self, tenant: &TenantId, id: KeyId) -> Result<bool, Error> {
        let keys = [self.api_key(id), self.used(id), self.keys_of(tenant), self.db.key(&CHANGES, &[])];
        self.change(Command::script(&REVOKE_KEY, &keys.each_ref()).arg(id.as_str().to_owned())).await
    }

    /// Issues a key with the name, scopes and end of another, which stops working after `overlap`, or at
    /// once when that is zero. Nothing when the tenant has no such key, or when it has expired.
    pub async fn rotate_key(
        &self,
        tenant: &TenantId,
        id: KeyId,
        overlap: Duration,
    ) -> Result<Option<(ApiKey, Secret)>, IssueError> {
        for _ in 0..ATTEMPTS {
            let now = self.db.now();
            let Some((record, mut old)) = self.read_key(id).await? else { return Ok(None) };
            if old.tenant != *tenant || old.is_expired(now) {
                return Ok(None);
            }
            let (new, secret) = ApiKey::issue(tenant.clone(), old.name.clone(), old.scopes, old.expires_at, now)?;
            // With no overlap it is deleted: an end that lies at this moment would be judged by clocks.
            let remains = if overlap.is_zero() {
                Bytes::new()
            } else {
                let end = now + overlap;
                old.retires_at = Some(old.retires_at.map_or(end, |earlier| earlier.min(end)));
                old.write()?.into()
            };
            let keys = [
                self.api_key(id),
                self.used(id),
                self.api_key(new.id),
                self.keys_of(tenant),
                self.db.key(&CHANGES, &[]),
            ];
            let script = Command::script(&ROTATE_KEY, &keys.each_ref())
                .arg(id.as_str().to_owned())
                .arg(record)
                .arg(remains)
                .arg(new.id.as_str().to_owned())
                .arg(new.write()?);
            if self.change(script).await? {
                return Ok(Some((new, secret)));
            }
        }
        Err(IssueError::Contended)
    }

    fn used(&self, id: KeyId) -> Key {
        self.db.key(&API_KEY_USED, &[id.as_str()])
    }

    pub(super) fn keys_of(&self, tenant: &TenantId) -> Key {
        self.db.key(&TENANT_KEYS, &[tenant.as_str()])
    }
}

fn hour(text: &Bytes) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(std::str::from_utf8(text).ok()?)
}
