//! What of a tenant that is deleted lies beside the other tenants: its record, and its API keys.
//!
//! A tenant is deleted by a job, and what is done here is only done while that job is the unfinished one of its kind and
//! tenant. For as long, no tenant of the same id can be made: [`jobs`](crate::jobs) forget that the job is unfinished in the
//! step that finishes it. So whoever is late, because its process was held up, never meets the next tenant of that id.

use super::keys::{API_KEY, API_KEY_USED, CHANGES, TENANTS};
use super::registry::Registry;
use super::scripts::{DELETE_KEYS, END_TENANT};
use crate::base::text::TenantId;
use crate::db::{Command, Error, Key, Reply};
use crate::jobs::{self, JobId};

/// The kind of the jobs that delete a tenant.
pub const DELETE_TENANT: &str = "tenant.delete";

impl Registry {
    /// Ends a tenant's access, for the job that deletes it: whether there was such a tenant. All its API keys are refused
    /// here at once and everywhere within a second.
    pub async fn end_tenant(&self, tenant: &TenantId, job: &JobId) -> Result<bool, Error> {
        let keys =
            [self.tenant_key(tenant), self.db.key(&TENANTS, &[]), self.db.key(&CHANGES, &[]), self.deletion_of(tenant)];
        let script =
            Command::script(&END_TENANT, &keys.each_ref()).arg(tenant.as_str().to_owned()).arg(job.as_str().to_owned());
        self.change(script).await
    }

    /// Deletes some of the API keys of a tenant that is gone, at most `limit`: how many. None when none is left, or when
    /// the job is not the one in force.
    pub async fn delete_keys_of(&self, tenant: &TenantId, job: &JobId, limit: usize) -> Result<u64, Error> {
        let list = Command::zrange_after(&self.keys_of(tenant), None, limit);
        let ids = self.db.run(list).await?.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Ok(0);
        }
        let of_key = |id: &String| [self.db.key(&API_KEY, &[id]), self.db.key(&API_KEY_USED, &[id])];
        let keys = [self.deletion_of(tenant), self.keys_of(tenant)];
        let keys: Vec<Key> = keys.into_iter().chain(ids.iter().flat_map(of_key)).collect();
        let script = Command::script(&DELETE_KEYS, &keys.iter().collect::<Vec<_>>()).arg(job.as_str().to_owned());
        let script = ids.into_iter().fold(script, Command::arg);
        Ok(u64::try_from(self.db.run(script).await?.int()?).unwrap_or(0))
    }

    /// What stands there while a tenant of this id is being deleted.
    pub(super) fn deletion_of(&self, tenant: &TenantId) -> Key {
        jobs::current_key(&self.db, DELETE_TENANT, Some(tenant))
    }
}
