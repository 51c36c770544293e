//! The job that deletes a tenant: access and data keys first, then its API keys, then all else that it has, until a look at
//! the whole database finds nothing more.

use crate::base::text::TenantId;
use crate::db::{Database, Delivery, Error, ErrorKind, ScanCursor};
use crate::jobs::{Job, Step, Then, Work};
use crate::stores::flags::Live;
use crate::tenancy::{DELETE_TENANT, Purge, Purged, Registry};
use crate::vault::{Vault, VaultError};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How many API keys a step deletes.
const API_KEYS: usize = 200;
/// For how long another server may take a tenant that is gone for one that is there.
const NOTICED: Duration = Duration::from_secs(1);
/// On top of that and of the longest request: what a request said last may be on its way for a moment, and a server may take
/// the newest data key that it knew for the newest for a second (`vault/data_keys.rs`).
const MARGIN: Duration = Duration::from_secs(2);

/// Deletes tenants.
pub(super) struct TenantDeletion {
    registry: Arc<Registry>,
    vault: Vault,
    /// Where a tenant may have something: the backend, and where sessions are, if that is this process.
    databases: Vec<Database>,
    /// Which tenants' flags changed is noted among the server's own data.
    flags: Arc<Live>,
    /// How long after its access ended a tenant's requests may still write.
    settling: Duration,
}

/// Where a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Access ends and the data keys are destroyed.
    #[default]
    Access,
    /// The API keys are deleted.
    ApiKeys,
    /// The whole database is looked through, again and again.
    Data,
    /// Nothing was found, and what is left of the deletion itself goes.
    End,
}

/// The cursor of the job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    stage: Stage,
    /// When access had ended, ms.
    ended: u64,
    /// Under which fencing number the partitions are marked, 0 for none.
    marked: u64,
    /// When this pass began, ms.
    began: u64,
    /// Which database this pass is at, and where there; empty at its beginning.
    database: usize,
    scan: String,
    /// Whether this pass has found anything.
    found: bool,
}

impl TenantDeletion {
    /// For tenants whose requests take at most so long.
    pub(super) fn new(
        registry: Arc<Registry>,
        vault: Vault,
        databases: Vec<Database>,
        flags: Arc<Live>,
        request_timeout: Duration,
    ) -> TenantDeletion {
        TenantDeletion { registry, vault, databases, flags, settling: NOTICED + request_timeout + MARGIN }
    }

    fn now(&self) -> u64 {
        self.registry.now().as_millis()
    }

    fn purges(&self, job: &Job, tenant: &TenantId) -> Vec<Purge> {
        self.databases.iter().map(|database| Purge::new(database.tenant(tenant), job)).collect()
    }

    /// Does one step: how many keys it deleted, and how it goes on.
    async fn advance(&self, job: &Job, tenant: &TenantId, at: &mut Progress) -> Result<(u64, Then), Error> {
        match at.stage {
            Stage::Access => {
                // Whoever began the job may have ended before this, or may be about to do the same.
                self.registry.end_tenant(tenant, &job.id).await?;
                self.destroy_data_keys(tenant).await?;
                *at = Progress { stage: Stage::ApiKeys, ended: self.now(), ..Progress::default() };
                Ok((0, Then::Again))
            }
            Stage::ApiKeys => {
                let deleted = self.registry.delete_keys_of(tenant, &job.id, API_KEYS).await?;
                if deleted == 0 {
                    (at.stage, at.began) = (Stage::Data, self.now());
                }
                Ok((deleted, Then::Again))
            }
            Stage::Data if at.marked != job.fencing => {
                for purge in self.purges(job, tenant) {
                    purge.mark().await?;
                }
                at.marked = job.fencing;
                Ok((0, Then::Again))
            }
            Stage::Data => self.purge(job, tenant, at).await,
            Stage::End => {
                self.destroy_data_keys(tenant).await?;
                self.flags.erase(tenant).await?;
                for purge in self.purges(job, tenant) {
                    purge.unmark().await?;
                }
                Ok((0, Then::Done { note: None }))
            }
        }
    }

    async fn purge(&self, job: &Job, tenant: &TenantId, at: &mut Progress) -> Result<(u64, Then), Error> {
        let purges = self.purges(job, tenant);
        let Some(purge) = purges.get(at.database) else { return Ok((0, self.end_of_pass(at))) };
        let from = ScanCursor::parse(&at.scan).unwrap_or_else(ScanCursor::start);
        match purge.step(&from).await? {
            Purged::Unmarked => {
                at.marked = 0;
                Ok((0, Then::Again))
            }
            Purged::Deleted(deleted, next) => {
                at.found |= deleted > 0;
                match next {
                    Some(next) => at.scan = next.as_str().to_owned(),
                    None => (at.database, at.scan) = (at.database + 1, String::new()),
                }
                Ok((deleted, Then::Again))
            }
        }
    }

    /// A pass that began when nobody could write any more and found nothing was the last one.
    fn end_of_pass(&self, at: &mut Progress) -> Then {
        let settled = at.ended.saturating_add(crate::base::duration::millis(self.settling));
        let was_clean = !at.found && at.began >= settled;
        let now = self.now();
        (at.database, at.found, at.began) = (0, false, now.max(settled));
        if was_clean {
            at.stage = Stage::End;
            return Then::Again;
        }
        match settled.saturating_sub(now) {
            0 => Then::Again,
            left => Then::After(Duration::from_millis(left)),
        }
    }

    async fn destroy_data_keys(&self, tenant: &TenantId) -> Result<(), Error> {
        match self.vault.destroy_all(tenant).await {
            // Where there is such a tenant it is not the one that this job is for, and saving the step will fail.
            Ok(_) => Ok(()),
            Err(VaultError::Backend(error)) => Err(error),
            Err(error) => {
                tracing::warn!(%tenant, %error, "the data keys of a tenant cannot be destroyed yet");
                Err(Error::new(ErrorKind::Unexpected("data keys that can be destroyed"), Delivery::Answered))
            }
        }
    }
}

impl Work for TenantDeletion {
    fn kind(&self) -> &'static str {
        DELETE_TENANT
    }

    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, Error>> {
        Box::pin(async move {
            let end = |then| Step { done: job.done, total: None, cursor: String::new(), then };
            let Some(tenant) = &job.tenant else { return Ok(end(Then::Failed("It names no tenant.".to_owned()))) };
            // What cannot be read was written by another version: all of it may be done again.
            let mut at: Progress = serde_json::from_str(&job.cursor).unwrap_or_default();
            let (deleted, then) = self.advance(job, tenant, &mut at).await?;
            let cursor = serde_json::to_string(&at).map_err(|_| Error::unexpected("a cursor that can be written"))?;
            Ok(Step { done: job.done.saturating_add(deleted), total: None, cursor, then })
        })
    }
}

#[cfg(test)]
mod tests;
