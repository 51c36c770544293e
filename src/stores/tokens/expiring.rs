//! Tokens that end by themselves and that nobody looks at any more: their secrets are destroyed all the same.
//!
//! They have no expiry in the backend, which could evict them early. So each process clears, now and then, the partitions
//! in which it has stored such tokens, until none is left there. Where every process that knew a partition has gone, what
//! remains is cleared when it is looked at, or after the next such token is stored there.

use super::keys::{self, RecordName};
use super::records::{Expired, Records};
use crate::base::text::TenantId;
use crate::db::{self, Command, Delivery, Partition, Reply};
use parking_lot::Mutex;
use std::collections::HashMap;

/// How many partitions are remembered, of all tenants.
const PARTITIONS: usize = 65_536;
/// How many tokens of one partition a sweep clears at the most; the rest waits for the next one.
const PER_SWEEP: usize = 1000;

/// The partitions with tokens that end by themselves.
#[derive(Default)]
pub struct Expiring(Mutex<HashMap<(TenantId, Partition), Records>>);

impl Expiring {
    /// Notes that a partition has one.
    pub(super) fn expect(&self, records: &Records, partition: Partition) {
        let mut known = self.0.lock();
        if known.len() < PARTITIONS {
            known.entry((records.db.tenant().clone(), partition)).or_insert_with(|| records.in_background());
        }
    }

    /// Destroys what has expired: how many tokens. What fails is left to the next sweep.
    pub async fn sweep(&self) -> Result<u64, db::Error> {
        let known: Vec<_> = self.0.lock().iter().map(|(place, records)| (place.clone(), records.clone())).collect();
        let (mut cleared, mut failed) = (0, Ok::<(), db::Error>(()));
        for ((tenant, partition), records) in known {
            match clear(&records, partition).await {
                Ok((count, is_empty)) => {
                    cleared += count;
                    if is_empty {
                        self.0.lock().remove(&(tenant, partition));
                    }
                }
                // A damaged index is no reason to leave the others, a backend that does not answer is one.
                Err(error) if error.delivery != Delivery::Answered => return Err(error),
                Err(error) => failed = Err(error),
            }
        }
        failed.map(|()| cleared)
    }
}

/// Clears a partition: how many tokens, and whether none is left that would end by itself.
async fn clear(records: &Records, partition: Partition) -> Result<(u64, bool), db::Error> {
    let (expiries, now) = (keys::expiries(&records.db, partition), records.db.now().as_millis());
    let look = vec![Command::zrange_scored_to(&expiries, now, PER_SWEEP), Command::zrange_next_scored(&expiries, now)];
    let [due, later] = records.db.pipeline(look).await?.try_into().map_err(|_| db::Error::unexpected("two answers"))?;
    let due = due.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
    let mut cleared = 0;
    for member in &due {
        let name = RecordName::parse(member).ok_or(db::Error::unexpected("a member of token-expiries"))?;
        cleared += u64::from(records.expire(&name).await? == Expired::Now);
    }
    Ok((cleared, due.len() < PER_SWEEP && cleared == due.len() as u64 && later.array()?.is_empty()))
}
