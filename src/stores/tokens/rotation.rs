//! New keys for what is sealed, as jobs: [`Rotate`] gives tenants new data keys, [`Rewrap`] seals every record anew under
//! the newest one and destroys those that nothing needs any more.
//!
//! Rewrapping first counts, so that its progress can be told, and then goes tenant by tenant. A tenant whose newest data key
//! is wrapped under another root key than the current one gets a new one. Then each partition gets a floor, below which
//! nothing is written any more, so what is counted as left at the end is all that is left, and a data key under which
//! nothing is left can be destroyed. A step that is done twice, or by two servers at once, finds it done: records are
//! exchanged only while they are as they were read.

use super::rewrap::SealedRecords;
use super::types::Error;
use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use crate::db::{self, Database, Partition};
use crate::jobs::{Job, Step, Then, Work};
use crate::tenancy::Registry;
use crate::vault::{StoredKey, Vault, VaultError};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a job that gives new data keys is called.
pub const ROTATE: &str = "vault.rotate";
/// What a job that seals everything anew is called.
pub const REWRAP: &str = "vault.rewrap";

/// Tenants in a step that only looks at them.
const TENANTS: usize = 20;
/// Records in a step.
const RECORDS: usize = 100;
/// How often a tenant is gone through again, where others wrote while it was.
const PASSES: u32 = 10;

/// What both kinds of work stand on.
#[derive(Clone)]
pub struct KeyChange {
    /// Where the records are.
    pub database: Database,
    /// Whose they are.
    pub registry: Arc<Registry>,
    /// What seals them.
    pub vault: Vault,
}

impl KeyChange {
    /// The next tenants after `after`, or the one that the job is of; nothing when there are no more.
    async fn tenants(&self, job: &Job, after: Option<&str>, limit: usize) -> Result<Vec<TenantId>, db::Error> {
        if let Some(one) = &job.tenant {
            return Ok(if after.is_none() { vec![one.clone()] } else { Vec::new() });
        }
        let listed = self.registry.list_tenants(after, limit).await?;
        Ok(listed.items.into_iter().map(|tenant| tenant.id).collect())
    }

    fn records(&self, tenant: &TenantId) -> SealedRecords {
        SealedRecords::new(self.database.tenant(tenant), self.vault.of(tenant, Deadline::NONE))
    }

    /// Whether the tenant's newest data key is not under the current root key.
    fn is_outdated(&self, keys: &[StoredKey]) -> bool {
        let current = self.vault.ring().and_then(|ring| ring.ids().next());
        keys.last().is_some_and(|newest| Some(newest.root) != current)
    }
}

/// What a step ends with where it did not go as it should: an error of the backend is tried again, all else ends the job.
enum Stopped {
    Backend(db::Error),
    Failed(String),
}

impl From<db::Error> for Stopped {
    fn from(error: db::Error) -> Self {
        Stopped::Backend(error)
    }
}

impl From<VaultError> for Stopped {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Backend(error) => Stopped::Backend(error),
            VaultError::Contended => Stopped::Backend(db::Error::unexpected("data keys that nobody changes meanwhile")),
            other => Stopped::Failed(other.to_string()),
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        match error {
            Error::Vault(error) => error.into(),
            Error::Contended => Stopped::Backend(db::Error::unexpected("records that nobody changes meanwhile")),
        }
    }
}

fn ended(job: &Job, step: Result<Step, Stopped>) -> Result<Step, db::Error> {
    match step {
        Ok(step) => Ok(step),
        Err(Stopped::Backend(error)) => Err(error),
        Err(Stopped::Failed(why)) => {
            Ok(Step { done: job.done, total: job.total, cursor: job.cursor.clone(), then: Then::Failed(why) })
        }
    }
}

/// Gives tenants new data keys; those that have none get one when they need it.
pub struct Rotate(pub KeyChange);

impl Rotate {
    async fn next(&self, job: &Job) -> Result<Step, Stopped> {
        let after = Some(job.cursor.as_str()).filter(|after| !after.is_empty());
        let tenants = self.0.tenants(job, after, TENANTS).await?;
        let mut done = job.done;
        for tenant in &tenants {
            if self.0.vault.list(tenant, Deadline::NONE).await?.is_empty() {
                continue;
            }
            match self.0.vault.rotate(tenant).await {
                Ok(_) => done += 1,
                // Deleted meanwhile.
                Err(VaultError::TenantGone) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (cursor, then) = match tenants.last() {
            Some(last) => (last.to_string(), Then::Again),
            None => (job.cursor.clone(), Then::Done { note: None }),
        };
        Ok(Step { done, total: None, cursor, then })
    }
}

impl Work for Rotate {
    fn kind(&self) -> &'static str {
        ROTATE
    }

    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, db::Error>> {
        Box::pin(async move { ended(job, self.next(job).await) })
    }
}

/// How far a job that seals everything anew has got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Whether all is counted.
    is_counted: bool,
    /// The last tenant that was counted, or whose records are done.
    after: Option<String>,
    /// The tenant whose records are being sealed anew.
    at: Option<At>,
    /// Records that did not open.
    unopenable: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    tenant: TenantId,
    /// The data key under which they go.
    key: u32,
    /// The partition where it goes on, two digits; nothing at the beginning.
    partition: Option<String>,
    /// Records of that partition that stay as they are.
    skip: u64,
    /// How often it has been gone through.
    passes: u32,
    /// Records that did not open in this pass.
    unopenable: u64,
}

/// Seals all records anew under the newest data keys, and destroys the other ones.
pub struct Rewrap(pub KeyChange);

impl Rewrap {
    async fn next(&self, job: &Job) -> Result<Step, Stopped> {
        let place = if job.cursor.is_empty() { Some(Place::default()) } else { serde_json::from_str(&job.cursor).ok() };
        let mut place = place.ok_or_else(|| Stopped::Failed("this version cannot go on with the job".to_owned()))?;
        let (mut done, mut total, mut is_over) = (job.done, job.total, false);
        if !place.is_counted {
            total = Some(total.unwrap_or(0) + self.count(job, &mut place).await?);
        } else if let Some(at) = &mut place.at {
            let (rewrapped, is_through) = self.go_on(at).await?;
            done += rewrapped;
            if is_through {
                place.unopenable += at.unopenable;
                place.after = Some(at.tenant.to_string());
                place.at = None;
            }
        } else {
            match self.0.tenants(job, place.after.as_deref(), 1).await?.pop() {
                Some(tenant) => self.begin(tenant, &mut place).await?,
                None => is_over = true,
            }
        }
        let note = (place.unopenable > 0).then(|| {
            format!("{} records do not open; they were left as they are, and their data keys stay", place.unopenable)
        });
        let then = if is_over { Then::Done { note } } else { Then::Again };
        // What was written meanwhile was not counted.
        let total = if is_over { Some(done) } else { total.map(|total| total.max(done)) };
        let cursor =
            serde_json::to_string(&place).map_err(|_| db::Error::unexpected("a cursor that can be written"))?;
        Ok(Step { done, total, cursor, then })
    }

    /// Counts the records of some tenants that are to be sealed anew.
    async fn count(&self, job: &Job, place: &mut Place) -> Result<u64, Stopped> {
        let tenants = self.0.tenants(job, place.after.as_deref(), TENANTS).await?;
        let mut found = 0;
        for tenant in &tenants {
            let keys = self.0.vault.list(tenant, Deadline::NONE).await?;
            let old = if self.0.is_outdated(&keys) { keys.len() } else { keys.len().saturating_sub(1) };
            let versions: Vec<u32> = keys.iter().take(old).map(|key| key.version).collect();
            if !versions.is_empty() {
                found += self.0.records(tenant).census(&versions).await?.iter().sum::<u64>();
            }
        }
        place.after = tenants.last().map(TenantId::to_string);
        place.is_counted = tenants.is_empty();
        Ok(found)
    }

    /// Makes ready a tenant; one that has nothing to be done for is done.
    async fn begin(&self, tenant: TenantId, place: &mut Place) -> Result<(), Stopped> {
        let mut keys = self.0.vault.list(&tenant, Deadline::NONE).await?;
        if self.0.is_outdated(&keys) {
            match self.0.vault.rotate(&tenant).await {
                // Deleted meanwhile.
                Err(VaultError::TenantGone) => keys.clear(),
                rotated => {
                    rotated?;
                    keys = self.0.vault.list(&tenant, Deadline::NONE).await?;
                }
            }
        }
        match keys.as_slice() {
            [] | [_] => place.after = Some(tenant.to_string()),
            [.., newest] => {
                self.0.records(&tenant).raise_floor(newest.version).await?;
                let key = newest.version;
                place.at = Some(At { tenant, key, partition: None, skip: 0, passes: 0, unopenable: 0 });
            }
        }
        Ok(())
    }

    /// Seals some records anew: how many, and whether the tenant is done.
    async fn go_on(&self, at: &mut At) -> Result<(u64, bool), Stopped> {
        let records = self.0.records(&at.tenant);
        let partition = at.partition.as_deref().and_then(Partition::parse);
        let partitions = records.partitions().await?;
        let Some(partition) = partitions.into_iter().find(|next| partition.is_none_or(|from| *next >= from)) else {
            return Ok((0, self.end(at, &records).await?));
        };
        let key = match self.0.vault.of(&at.tenant, Deadline::NONE).get(at.key).await {
            // Newer ones have taken its place, or the tenant is gone.
            Err(VaultError::Unopenable) => return Ok((0, true)),
            key => key?,
        };
        let rewrapped = records.rewrap(partition, &key, at.skip, RECORDS).await?;
        at.unopenable += rewrapped.unopenable;
        at.skip += rewrapped.unopenable;
        at.partition = Some(partition.digits());
        if !rewrapped.has_more {
            at.skip = 0;
            match partition.next() {
                Some(next) => at.partition = Some(next.digits()),
                None => return Ok((rewrapped.done, self.end(at, &records).await?)),
            }
        }
        Ok((rewrapped.done, false))
    }

    /// Destroys the data keys under which nothing is left: whether the tenant is done. It is not while others are left than
    /// those that do not open: they were written while it was gone through, before its floors were raised.
    async fn end(&self, at: &mut At, records: &SealedRecords) -> Result<bool, Stopped> {
        let keys = self.0.vault.list(&at.tenant, Deadline::NONE).await?;
        let old: Vec<u32> = keys.iter().map(|key| key.version).filter(|version| *version < at.key).collect();
        let left = records.census(&old).await?;
        if left.iter().sum::<u64>() > at.unopenable && at.passes < PASSES {
            *at = At { partition: None, skip: 0, passes: at.passes + 1, unopenable: 0, ..at.clone() };
            return Ok(false);
        }
        let unneeded: Vec<u32> =
            old.into_iter().zip(left).filter(|(_, left)| *left == 0).map(|(version, _)| version).collect();
        self.0.vault.destroy(&at.tenant, &unneeded).await?;
        Ok(true)
    }
}

impl Work for Rewrap {
    fn kind(&self) -> &'static str {
        REWRAP
    }

    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, db::Error>> {
        Box::pin(async move { ended(job, self.next(job).await) })
    }
}
