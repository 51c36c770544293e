//! What an admin does to tenants.

use super::keys::{CHANGES, TENANT, TENANTS};
use super::listing::{self, Listing};
use super::registry::{ATTEMPTS, CHANGED, Registry};
use super::scripts::{CREATE_TENANT, UPDATE_TENANT};
use super::stored;
use super::tenant::{NewTenant, Tenant, TenantChange};
use crate::base::text::TenantId;
use crate::db::{Command, Error};

/// What came of making a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantCreation {
    /// Made.
    Created(Tenant),
    /// The id is taken.
    Exists,
    /// A tenant of this id is being deleted.
    BeingDeleted,
}

/// What came of changing a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantUpdate {
    /// Changed.
    Updated {
        /// The tenant as it was.
        before: Box<Tenant>,
        /// The tenant as it is now.
        after: Tenant,
    },
    /// There is no such tenant.
    NotFound,
    /// It is not at the version that was expected.
    VersionMismatch,
    /// Others kept changing it; nothing was written.
    Contended,
}

impl Registry {
    /// Makes a tenant.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<TenantCreation, Error> {
        let tenant = new.into_tenant(self.db.now());
        Ok(match self.add_tenant(&tenant).await? {
            CHANGED => TenantCreation::Created(tenant),
            0 => TenantCreation::Exists,
            _ => TenantCreation::BeingDeleted,
        })
    }

    /// Stores a tenant where there is none of its id: [`CHANGED`], 0 where there is one, or another number where one is
    /// being deleted.
    pub(super) async fn add_tenant(&self, tenant: &Tenant) -> Result<u64, Error> {
        let keys = [
            self.tenant_key(&tenant.id),
            self.db.key(&TENANTS, &[]),
            self.db.key(&CHANGES, &[]),
            self.deletion_of(&tenant.id),
        ];
        let script = Command::script(&CREATE_TENANT, &keys.each_ref())
            .arg(tenant.id.as_str().to_owned())
            .arg(stored::write(tenant)?);
        self.outcome_of_change(script).await
    }

    /// A tenant as it is in the backend now.
    pub async fn load_tenant(&self, id: &TenantId) -> Result<Option<Tenant>, Error> {
        Ok(self.read_tenant(id).await?.map(|(_, tenant)| tenant))
    }

    /// At most `limit` tenants, by id, from after the id `after`.
    pub async fn list_tenants(&self, after: Option<&str>, limit: usize) -> Result<Listing<Tenant>, Error> {
        let index = self.db.key(&TENANTS, &[]);
        let (ids, next) = listing::page(self.db.run(Command::zrange_after(&index, after, limit + 1)).await?, limit)?;
        let reads = ids.iter().map(|id| Command::get(&self.db.key(&TENANT, &[id]))).collect();
        let mut items = Vec::with_capacity(ids.len());
        for record in self.db.pipeline(reads).await? {
            // One that was deleted between the two steps is no longer there.
            if let Some(record) = record.optional_bytes()? {
                items.push(Tenant::read(&record)?);
            }
        }
        Ok(Listing { items, next })
    }

    /// Changes a tenant, if it is at a version that the caller `expects`. Two who change different members
    /// at one time both succeed.
    pub async fn update_tenant(
        &self,
        id: &TenantId,
        expects: impl Fn(u64) -> bool,
        change: TenantChange,
    ) -> Result<TenantUpdate, Error> {
        let keys = [self.tenant_key(id), self.db.key(&CHANGES, &[])];
        for _ in 0..ATTEMPTS {
            let Some((record, mut tenant)) = self.read_tenant(id).await? else { return Ok(TenantUpdate::NotFound) };
            if !expects(tenant.version) {
                return Ok(TenantUpdate::VersionMismatch);
            }
            let before = Box::new(tenant.clone());
            change.clone().apply(&mut tenant);
            tenant.version += 1;
            tenant.updated_at = self.db.now();
            let script = Command::script(&UPDATE_TENANT, &keys.each_ref()).arg(record).arg(stored::write(&tenant)?);
            if self.change(script).await? {
                return Ok(TenantUpdate::Updated { before, after: tenant });
            }
        }
        Ok(TenantUpdate::Contended)
    }
}
