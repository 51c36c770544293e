//! What of a tenant that is moved lies beside the other tenants: its record, and its API keys.
//!
//! While it is imported the tenant is suspended, so nobody meets the half of it. Where that fails it stays so, and is to be
//! purged before it is tried again.

use crate::base::text::TenantId;
use crate::db::{Command, Error, Reply};
use crate::tenancy::api_key::{ApiKey, KeyId};
use crate::tenancy::keys::CHANGES;
use crate::tenancy::registry::{CHANGED, Registry};
use crate::tenancy::scripts::{CREATE_KEY, UPDATE_TENANT};
use crate::tenancy::tenant::{Status, Tenant};
use crate::tenancy::{Listing, listing, stored};

/// What came of beginning an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportBegin {
    /// The tenant is there as it is here, suspended and empty.
    Begun(Box<Tenant>),
    /// There is one of this id.
    Exists,
    /// One of this id is being deleted.
    BeingDeleted,
}

/// What came of importing an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyImport {
    /// It is stored.
    Stored,
    /// The text is none of this tenant.
    NotAKey,
    /// There is a key of this id.
    Exists,
    /// The tenant is gone.
    TenantGone,
}

impl Registry {
    /// The records of at most `limit` of the tenant's API keys, by id, from after the id `after`.
    pub async fn export_keys(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing<String>, Error> {
        let index = self.keys_of(tenant);
        let (ids, next) = listing::page(self.db.run(Command::zrange_after(&index, after, limit + 1)).await?, limit)?;
        let keys = ids.iter().filter_map(|id| KeyId::parse(id)).map(|id| Command::get(&self.api_key(id)));
        let mut items = Vec::new();
        for record in self.db.pipeline(keys.collect()).await? {
            if let Some(record) = record.optional_bytes()? {
                items.push(Reply::Bulk(record).text()?);
            }
        }
        Ok(Listing { items, next })
    }

    /// Makes the tenant, suspended, where there is none. When it was changed tells this import from another.
    pub async fn begin_import(&self, tenant: &Tenant) -> Result<ImportBegin, Error> {
        let there = Tenant { status: Status::Suspended, updated_at: self.db.now(), ..tenant.clone() };
        Ok(match self.add_tenant(&there).await? {
            CHANGED => ImportBegin::Begun(Box::new(there)),
            0 => ImportBegin::Exists,
            _ => ImportBegin::BeingDeleted,
        })
    }

    /// Whether the tenant is still there as [`Registry::begin_import`] made it.
    pub async fn is_importing(&self, begun: &Tenant) -> Result<bool, Error> {
        Ok(self.read_tenant(&begun.id).await?.is_some_and(|(_, there)| there == *begun))
    }

    /// Stores an API key of the tenant, as it was exported.
    pub async fn import_key(&self, tenant: &TenantId, record: &str) -> Result<KeyImport, Error> {
        let Some(key) = ApiKey::read(record.as_bytes()).ok().filter(|key| key.tenant == *tenant) else {
            return Ok(KeyImport::NotAKey);
        };
        if self.read_key(key.id).await?.is_some() {
            return Ok(KeyImport::Exists);
        }
        let keys = [self.tenant_key(tenant), self.api_key(key.id), self.keys_of(tenant), self.db.key(&CHANGES, &[])];
        let script =
            Command::script(&CREATE_KEY, &keys.each_ref()).arg(key.id.as_str().to_owned()).arg(record.to_owned());
        Ok(if self.change(script).await? { KeyImport::Stored } else { KeyImport::TenantGone })
    }

    /// Makes the tenant what it was where it comes from: whether it was still as [`Registry::begin_import`] made it.
    pub async fn finish_import(&self, begun: &Tenant, tenant: &Tenant) -> Result<bool, Error> {
        let Some((record, there)) = self.read_tenant(&tenant.id).await? else { return Ok(false) };
        if there != *begun {
            return Ok(false);
        }
        let keys = [self.tenant_key(&tenant.id), self.db.key(&CHANGES, &[])];
        let script = Command::script(&UPDATE_TENANT, &keys.each_ref()).arg(record).arg(stored::write(tenant)?);
        self.change(script).await
    }
}
