//! Deleting whatever a tenant has, under a mark.
//!
//! A process can be held up at any moment and go on much later, when another has finished its work and a tenant of the
//! same id has been made anew. So each partition carries a mark while it is being emptied, and a script deletes there
//! only beside the mark of its own process. A mark names the job and how often that changed hands: no process meets the
//! mark of one before or after it.

use super::keys::DELETION;
use super::scripts::PURGE;
use crate::db::{Command, Error, Expiry, Key, Partition, ScanCursor, TenantDb};
use crate::jobs::Job;
use std::time::Duration;

/// How long a mark stands at the most. Who needs longer sets it again.
const MARKED: Duration = Duration::from_secs(6 * 3600);
/// How many keys of the database are looked at in one call.
const LOOKED_AT: u32 = 1000;
/// How many such calls a step makes at the most.
const CALLS: usize = 8;
/// How many keys one script is given at the most.
const TOGETHER: usize = 500;

/// Deletes the keys of one tenant for one job, as the process that has it now.
pub struct Purge {
    db: TenantDb,
    mark: String,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purged {
    /// A mark was not there: nothing more is deleted until all are set again.
    Unmarked,
    /// So many keys were deleted, and there the scan goes on; nothing at its end.
    Deleted(u64, Option<ScanCursor>),
}

impl Purge {
    /// Over the data of the tenant that the job deletes.
    pub fn new(db: TenantDb, job: &Job) -> Purge {
        Purge { db, mark: format!("{} {}", job.id, job.fencing) }
    }

    /// Sets the mark in every partition.
    pub async fn mark(&self) -> Result<(), Error> {
        let set = |partition| Command::set(&self.at(partition), self.mark.clone(), Expiry::After(MARKED));
        let replies = self.db.pipeline(Partition::all().map(set).collect()).await?;
        replies.into_iter().try_for_each(crate::db::Reply::done)
    }

    /// Looks at some of the database, and deletes what is the tenant's.
    pub async fn step(&self, from: &ScanCursor) -> Result<Purged, Error> {
        let (mut deleted, mut cursor) = (0, from.clone());
        for _ in 0..CALLS {
            let found = self.db.scan(&cursor, LOOKED_AT).await?;
            let scripts = found.keys.into_iter().flat_map(|(partition, keys)| self.scripts(partition, keys)).collect();
            for reply in self.db.pipeline(scripts).await? {
                match u64::try_from(reply.int()?) {
                    Ok(count) => deleted += count,
                    Err(_) => return Ok(Purged::Unmarked),
                }
            }
            match found.next {
                None => return Ok(Purged::Deleted(deleted, None)),
                Some(next) => cursor = next,
            }
            if deleted >= u64::from(LOOKED_AT) {
                break;
            }
        }
        Ok(Purged::Deleted(deleted, Some(cursor)))
    }

    /// Takes the marks away.
    pub async fn unmark(&self) -> Result<(), Error> {
        let replies = self.db.pipeline(Partition::all().map(|at| Command::del(&self.at(at))).collect()).await?;
        replies.into_iter().try_for_each(|reply| reply.int().map(drop))
    }

    fn scripts(&self, partition: Partition, mut keys: Vec<Key>) -> Vec<Command> {
        let mark = self.at(partition);
        keys.retain(|key| *key != mark);
        let script = |keys: &[Key]| {
            let keys: Vec<&Key> = std::iter::once(&mark).chain(keys).collect();
            Command::script(&PURGE, &keys).arg(self.mark.clone())
        };
        keys.chunks(TOGETHER).map(script).collect()
    }

    fn at(&self, partition: Partition) -> Key {
        self.db.key(partition, &DELETION, &[])
    }
}
