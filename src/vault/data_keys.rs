//! A tenant's data keys in the backend, and as this process remembers them.
//!
//! A data key never changes, so what was unwrapped once is good for as long as it is the one that is stored: after a tenant
//! was deleted, another may come that has its id, and data keys of the same versions. So a key is remembered with how it is
//! stored wrapped; whoever seals has compared that, and whoever fails to open with what is remembered compares it then.
//! Which one is the newest may be out of date for [`NEWEST`]: that is no harm, for a store refuses to keep what was sealed
//! with a key that is about to be destroyed (see the stores' floors), and its caller then asks again.

use super::data_key::DataKey;
use super::keys::{DATA_KEYS, ROOT_KEYS};
use super::root_key::{KeyRing, RootKeyId};
use super::scripts::CHANGE_DATA_KEYS;
use super::stored::{Stored, StoredKey};
use super::tenant_vault::{TenantVault, VaultError};
use crate::base::clock::Clock;
use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::{Command, Error, Key, SystemDb};
use crate::tenancy;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// For how long the newest data key of a tenant is taken for the newest, in microseconds. Less than the margin that the
/// deletion of a tenant leaves before the id is free again: what is sealed for another tenant of that id is never sealed
/// under a key of the one before.
const NEWEST: u64 = 1_000_000;
/// How many data keys are remembered.
const ROOM: usize = 10_000;
/// How often a change is tried when others change the same thing meanwhile.
const ATTEMPTS: usize = 16;

/// The data keys of all tenants. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    ring: Option<KeyRing>,
    db: SystemDb,
    steady: Arc<dyn Clock>,
    unwrapped: Cache<(TenantId, u32), Unwrapped>,
    newest: Cache<TenantId, (u64, Arc<DataKey>)>,
}

/// A data key, and the text that it was unwrapped of.
#[derive(Clone)]
struct Unwrapped {
    wrapped: Arc<str>,
    key: Arc<DataKey>,
}

impl Vault {
    /// The vault over the server's own data; without a ring it seals and opens nothing. `steady` is never set back.
    pub fn new(ring: Option<KeyRing>, db: SystemDb, steady: Arc<dyn Clock>) -> Vault {
        Vault(Arc::new(Inner { ring, db, steady, unwrapped: Cache::new(ROOM), newest: Cache::new(ROOM) }))
    }

    /// The vault of one tenant, for a caller who waits until then.
    pub fn of(&self, tenant: &TenantId, deadline: Deadline) -> TenantVault {
        TenantVault::new(self.clone(), tenant.clone(), deadline)
    }

    /// The root keys, if there are any.
    pub fn ring(&self) -> Option<&KeyRing> {
        self.0.ring.as_ref()
    }

    /// The same.
    ///
    /// # Errors
    /// [`VaultError::NotConfigured`] where there are none.
    pub fn configured(&self) -> Result<&KeyRing, VaultError> {
        self.ring().ok_or(VaultError::NotConfigured)
    }

    /// The newest data key of a tenant, as this process knows it; made where there is none.
    pub(super) async fn newest(&self, tenant: &TenantId, deadline: Deadline) -> Result<Arc<DataKey>, VaultError> {
        self.configured()?;
        let now = self.0.steady.micros();
        match self.0.newest.get(tenant) {
            Some((asked, key)) if now < asked.saturating_add(NEWEST) => Ok(key),
            _ => self.newest_now(tenant, deadline).await,
        }
    }

    /// The newest data key of a tenant as it is in the backend now; made where there is none.
    pub(super) async fn newest_now(&self, tenant: &TenantId, deadline: Deadline) -> Result<Arc<DataKey>, VaultError> {
        let now = self.0.steady.micros();
        for _ in 0..ATTEMPTS {
            let (text, stored) = self.read(tenant, deadline).await?;
            let key = match stored.keys.last_key_value() {
                Some((version, wrapped)) => Some(self.unwrapped(tenant, *version, wrapped)?),
                None => self.add(tenant, &text, &stored, deadline).await?,
            };
            if let Some(key) = key {
                self.0.newest.insert(tenant.clone(), (now, key.clone()));
                return Ok(key);
            }
        }
        Err(VaultError::Contended)
    }

    /// A data key by its version, as this process knows it: good for opening, where a key that is stored no more opens
    /// nothing that is.
    pub(super) async fn known(
        &self,
        tenant: &TenantId,
        version: u32,
        deadline: Deadline,
    ) -> Result<Arc<DataKey>, VaultError> {
        self.configured()?;
        match self.0.unwrapped.get(&(tenant.clone(), version)) {
            Some(known) => Ok(known.key),
            None => self.get(tenant, version, deadline).await,
        }
    }

    /// A data key by its version, as it is in the backend now.
    pub(super) async fn get(
        &self,
        tenant: &TenantId,
        version: u32,
        deadline: Deadline,
    ) -> Result<Arc<DataKey>, VaultError> {
        self.configured()?;
        let (_, stored) = self.read(tenant, deadline).await?;
        let wrapped = stored.keys.get(&version).ok_or(VaultError::Unopenable)?;
        self.unwrapped(tenant, version, wrapped)
    }

    /// Adds a data key, which is the newest from then on: its version.
    ///
    /// # Errors
    /// [`VaultError::TenantGone`] where there is no such tenant.
    pub async fn rotate(&self, tenant: &TenantId) -> Result<u32, VaultError> {
        for _ in 0..ATTEMPTS {
            let (text, stored) = self.read(tenant, Deadline::NONE).await?;
            if let Some(key) = self.add(tenant, &text, &stored, Deadline::NONE).await? {
                self.0.newest.insert(tenant.clone(), (self.0.steady.micros(), key.clone()));
                return Ok(key.version());
            }
        }
        Err(VaultError::Contended)
    }

    /// The data keys of a tenant as they are stored, wrapped, and the root keys under which they are; nothing where it has
    /// none.
    pub async fn export(
        &self,
        tenant: &TenantId,
        deadline: Deadline,
    ) -> Result<Option<(String, Vec<RootKeyId>)>, Error> {
        let (text, stored) = self.read(tenant, deadline).await?;
        Ok((!text.is_empty()).then_some((text, stored.roots()?)))
    }

    /// Whether data keys that were exported could be used here: the first root key that is missing, if one is.
    ///
    /// # Errors
    /// When the text is none of data keys.
    pub fn lacks(&self, exported: &str) -> Result<Option<RootKeyId>, Error> {
        let roots = Stored::parse(exported.as_bytes())?.roots()?;
        Ok(roots.into_iter().find(|root| !self.ring().is_some_and(|ring| ring.has(*root))))
    }

    /// Stores data keys that were exported, for a tenant that is there and has none.
    ///
    /// # Errors
    /// [`VaultError::TenantGone`] where there is no such tenant, [`VaultError::Contended`] where it has some.
    pub async fn import(&self, tenant: &TenantId, exported: &str, deadline: Deadline) -> Result<(), VaultError> {
        let after = Stored::parse(exported.as_bytes())?;
        match self.change(tenant, ("", &Stored::default()), Some(&after), deadline).await? {
            true => Ok(()),
            false => Err(VaultError::Contended),
        }
    }

    /// The data keys that a tenant has, oldest first.
    pub async fn list(&self, tenant: &TenantId, deadline: Deadline) -> Result<Vec<StoredKey>, Error> {
        self.read(tenant, deadline).await?.1.all()
    }

    /// Destroys the data keys of these versions: how many there were. What is sealed under them is lost.
    pub async fn destroy(&self, tenant: &TenantId, versions: &[u32]) -> Result<usize, VaultError> {
        for _ in 0..ATTEMPTS {
            let (text, before) = self.read(tenant, Deadline::NONE).await?;
            let mut after = before.clone();
            after.keys.retain(|version, _| !versions.contains(version));
            let destroyed = before.keys.len() - after.keys.len();
            if destroyed == 0 {
                return Ok(0);
            }
            match self.change(tenant, (&text, &before), Some(&after), Deadline::NONE).await {
                Ok(true) => {
                    self.forget(tenant, versions.iter().copied());
                    return Ok(destroyed);
                }
                Ok(false) => {}
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Contended)
    }

    /// Destroys all data keys of a tenant that is gone: whatever was sealed for it can never be opened again, not even with
    /// the root keys. Whether that is so: while there is such a tenant, which may be another one of the same id, nothing is
    /// destroyed.
    pub async fn destroy_all(&self, tenant: &TenantId) -> Result<bool, VaultError> {
        for _ in 0..ATTEMPTS {
            let (text, before) = self.read(tenant, Deadline::NONE).await?;
            let is_done = text.is_empty()
                || match self.change(tenant, (&text, &before), None, Deadline::NONE).await {
                    // The script says of a tenant that it is not as it must be, which here is gone.
                    Err(VaultError::TenantGone) => return Ok(false),
                    changed => changed?,
                };
            if is_done {
                self.forget(tenant, 1..=before.newest);
                return Ok(true);
            }
        }
        Err(VaultError::Contended)
    }

    /// The root keys under which data keys are wrapped, and how many each.
    pub async fn roots_in_use(&self, deadline: Deadline) -> Result<Vec<(RootKeyId, u64)>, Error> {
        let read = Command::zrange_with_scores(&self.0.db.key(&ROOT_KEYS, &[]));
        let mut replies = self.0.db.by(deadline).run(read).await?.array()?.into_iter();
        let mut roots = Vec::new();
        while let (Some(id), Some(count)) = (replies.next(), replies.next()) {
            let id = RootKeyId::parse(&id.text()?).ok_or(Error::unexpected("the id of a root key"))?;
            roots.push((id, count.count()?));
        }
        Ok(roots)
    }

    /// The ids of root keys that data keys need and this process does not have.
    pub async fn missing_roots(&self, deadline: Deadline) -> Result<Vec<(RootKeyId, u64)>, Error> {
        let mut roots = self.roots_in_use(deadline).await?;
        roots.retain(|(id, _)| !self.ring().is_some_and(|ring| ring.has(*id)));
        Ok(roots)
    }

    fn unwrapped(&self, tenant: &TenantId, version: u32, wrapped: &str) -> Result<Arc<DataKey>, VaultError> {
        let known = self.0.unwrapped.get(&(tenant.clone(), version));
        if let Some(Unwrapped { key, .. }) = known.filter(|known| *known.wrapped == *wrapped) {
            return Ok(key);
        }
        let root = DataKey::root_of(wrapped).ok_or(VaultError::Unopenable)?;
        let parent = self.configured()?.get(root).ok_or(VaultError::KeyMissing(root))?;
        let key = Arc::new(DataKey::unwrap(root, parent, tenant, version, wrapped)?);
        self.remember(tenant, wrapped, &key);
        Ok(key)
    }

    fn remember(&self, tenant: &TenantId, wrapped: &str, key: &Arc<DataKey>) {
        let unwrapped = Unwrapped { wrapped: wrapped.into(), key: key.clone() };
        self.0.unwrapped.insert((tenant.clone(), key.version()), unwrapped);
    }

    /// Adds a data key to those that were read: the key, or nothing when somebody changed them since.
    async fn add(
        &self,
        tenant: &TenantId,
        text: &str,
        before: &Stored,
        deadline: Deadline,
    ) -> Result<Option<Arc<DataKey>>, VaultError> {
        let mut after = before.clone();
        after.newest = before.newest.checked_add(1).ok_or(Error::unexpected("a version"))?;
        let (key, wrapped) = DataKey::generate(self.configured()?, tenant, after.newest)?;
        after.keys.insert(after.newest, wrapped.clone());
        if !self.change(tenant, (text, before), Some(&after), deadline).await? {
            return Ok(None);
        }
        let key = Arc::new(key);
        self.remember(tenant, &wrapped, &key);
        Ok(Some(key))
    }

    async fn change(
        &self,
        tenant: &TenantId,
        (text, before): (&str, &Stored),
        after: Option<&Stored>,
        deadline: Deadline,
    ) -> Result<bool, VaultError> {
        let db = self.0.db.by(deadline);
        let keys = [self.key(tenant), db.key(&ROOT_KEYS, &[]), tenancy::tenant_key(&db, tenant)];
        let difference = after.unwrap_or(&Stored::default()).difference(before)?;
        let after = after.map(Stored::text).transpose()?.unwrap_or_default();
        let command = Command::script(&CHANGE_DATA_KEYS, &keys.each_ref()).arg(text.to_owned()).arg(after);
        let command =
            difference.into_iter().fold(command, |command, (root, count)| command.arg(root.to_string()).number(count));
        match db.run(command).await?.int()? {
            1 => Ok(true),
            0 => Ok(false),
            _ => Err(VaultError::TenantGone),
        }
    }

    async fn read(&self, tenant: &TenantId, deadline: Deadline) -> Result<(String, Stored), Error> {
        let Some(text) = self.0.db.by(deadline).run(Command::get(&self.key(tenant))).await?.optional_bytes()? else {
            return Ok((String::new(), Stored::default()));
        };
        let stored = Stored::parse(&text)?;
        Ok((String::from_utf8_lossy(&text).into_owned(), stored))
    }

    fn forget(&self, tenant: &TenantId, versions: impl Iterator<Item = u32>) {
        self.0.newest.remove(tenant);
        versions.for_each(|version| drop(self.0.unwrapped.remove(&(tenant.clone(), version))));
    }

    fn key(&self, tenant: &TenantId) -> Key {
        self.0.db.key(&DATA_KEYS, &[tenant.as_str()])
    }
}

#[cfg(test)]
mod tests;
