//! What outlives a request: counters, and the indexes that this process has written to and will clear.
//! Everything it forgets cleans itself: each index ends with its longest session.

use super::{keys, scripts};
use crate::base::text::TenantId;
use crate::db::{self, Command, Partition, TenantDb};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many tenants are remembered between two sweeps.
const TENANTS: usize = 4096;

/// How many ended sessions one script clears at most.
const PER_SCRIPT: u64 = 500;

/// Shared by all session stores of a process.
#[derive(Default)]
pub struct Upkeep {
    unreadable: AtomicU64,
    written: Mutex<HashMap<TenantId, (TenantDb, BTreeSet<Partition>)>>,
}

impl Upkeep {
    /// How many times a stored session could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub(super) fn count_unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("a stored session cannot be read; it is treated as absent");
    }

    pub(super) fn wrote(&self, db: &TenantDb, partition: Partition) {
        let mut written = self.written.lock();
        if let Some((_, partitions)) = written.get_mut(db.tenant()) {
            partitions.insert(partition);
        } else if written.len() < TENANTS {
            written.insert(db.tenant().clone(), (db.clone(), BTreeSet::from([partition])));
        }
    }

    /// Clears ended sessions from the indexes that were written to since the last sweep: how many. One round
    /// trip per tenant, a second one where there is much to clear. What fails is left to the next writer.
    pub async fn sweep(&self) -> Result<u64, db::Error> {
        let written = std::mem::take(&mut *self.written.lock());
        let mut cleared = 0;
        for (db, mut partitions) in written.into_values() {
            while !partitions.is_empty() {
                let sweep = |partition: &Partition| {
                    let (all, expiries) = (keys::all(&db, *partition), keys::expiries(&db, *partition));
                    Command::script(&scripts::SWEEP, &[&all, &expiries]).number(PER_SCRIPT)
                };
                let replies = db.pipeline(partitions.iter().map(sweep).collect()).await?;
                let mut more = BTreeSet::new();
                for (partition, reply) in partitions.into_iter().zip(replies) {
                    let count = reply.count()?;
                    cleared += count;
                    if count == PER_SCRIPT {
                        more.insert(partition);
                    }
                }
                partitions = more;
            }
        }
        Ok(cleared)
    }
}
