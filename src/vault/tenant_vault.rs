//! The vault as a store has it: of one tenant.

use super::data_key::{Context, DataKey, Unopenable};
use super::data_keys::Vault;
use super::root_key::RootKeyId;
use crate::base::deadline::Deadline;
use crate::base::id::NoRandomness;
use crate::base::text::TenantId;
use crate::db;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Why something cannot be sealed or opened. Holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// This process has no root key.
    #[error("the vault has no root key")]
    NotConfigured,
    /// This process lacks the root key under which the data key is wrapped.
    #[error("the vault lacks the root key {0}")]
    KeyMissing(RootKeyId),
    /// It does not open: it was changed, moved, or sealed under a data key that was destroyed.
    #[error("{Unopenable}")]
    Unopenable,
    /// There is no such tenant any more.
    #[error("the tenant is gone")]
    TenantGone,
    /// Others kept changing the tenant's data keys; nothing was written.
    #[error("others kept changing the data keys")]
    Contended,
    /// There is no randomness to be had.
    #[error("{NoRandomness}")]
    NoRandomness,
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] db::Error),
}

impl From<NoRandomness> for VaultError {
    fn from(_: NoRandomness) -> Self {
        VaultError::NoRandomness
    }
}

impl From<Unopenable> for VaultError {
    fn from(_: Unopenable) -> Self {
        VaultError::Unopenable
    }
}

/// What was opened; zeroed when it is dropped.
pub type Opened = Zeroizing<Vec<u8>>;

/// The vault of one tenant.
#[derive(Clone)]
pub struct TenantVault {
    vault: Vault,
    tenant: TenantId,
    deadline: Deadline,
}

impl TenantVault {
    pub(super) fn new(vault: Vault, tenant: TenantId, deadline: Deadline) -> TenantVault {
        TenantVault { vault, tenant, deadline }
    }

    /// The same, for a caller who waits until then.
    pub fn by(&self, deadline: Deadline) -> TenantVault {
        TenantVault { deadline, ..self.clone() }
    }

    /// Whether this process has root keys at all.
    ///
    /// # Errors
    /// [`VaultError::NotConfigured`] where it has none.
    pub fn configured(&self) -> Result<(), VaultError> {
        self.vault.configured().map(drop)
    }

    /// The data key to seal with, made where the tenant has none. No round trip where this process knew it a moment ago.
    pub async fn newest(&self) -> Result<Arc<DataKey>, VaultError> {
        self.vault.newest(&self.tenant, self.deadline).await
    }

    /// The same, after a store refused what was sealed with the one that this process knew.
    pub async fn newest_now(&self) -> Result<Arc<DataKey>, VaultError> {
        self.vault.newest_now(&self.tenant, self.deadline).await
    }

    /// A data key by its version, as it is in the backend now: one round trip.
    ///
    /// # Errors
    /// [`VaultError::Unopenable`] where there is none.
    pub async fn get(&self, version: u32) -> Result<Arc<DataKey>, VaultError> {
        self.vault.get(&self.tenant, version, self.deadline).await
    }

    /// Opens what was sealed for this place. No round trip where this process knows the data key.
    ///
    /// # Errors
    /// [`VaultError::Unopenable`] whatever is wrong with it.
    pub async fn open(&self, sealed: &str, context: Context<'_>) -> Result<Opened, VaultError> {
        let version = DataKey::version_of(sealed).ok_or(VaultError::Unopenable)?;
        let known = self.vault.known(&self.tenant, version, self.deadline).await?;
        if let Ok(opened) = known.open(sealed, context) {
            return Ok(opened);
        }
        // A tenant that was deleted may have come again, and have another data key of this version.
        Ok(self.get(version).await?.open(sealed, context)?)
    }
}
