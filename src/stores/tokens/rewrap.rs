//! What a change of keys needs of the sealed records of one tenant: how many are under each data key, a floor under those
//! that may be written with, and records sealed anew.

use super::content::Part;
use super::keys::{self, RecordName};
use super::records::Records;
use super::scripts::{FLOOR, REWRAP};
use super::types::Error;
use crate::db::{self, Command, Partition, Reply, TenantDb};
use crate::vault::{DataKey, TenantVault, VaultError};
use std::collections::BTreeSet;

/// How many commands go in one round trip.
const PER_TRIP: usize = 256;

/// What came of sealing some records anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrapped {
    /// Records that are under the newest data key now.
    pub done: u64,
    /// Records that do not open, and were left as they are.
    pub unopenable: u64,
    /// Whether there may be more.
    pub has_more: bool,
}

/// The sealed records of one tenant, whatever they are of.
#[derive(Clone)]
pub struct SealedRecords(Records);

impl SealedRecords {
    /// Those in a tenant's data.
    pub fn new(db: TenantDb, vault: TenantVault) -> SealedRecords {
        SealedRecords(Records { db, vault })
    }

    /// The partitions in which something may be sealed, in order. The first one always is among them: its floor is raised
    /// before anybody asks.
    pub async fn partitions(&self) -> Result<Vec<Partition>, db::Error> {
        let all = Command::zrange_after(&keys::partitions(&self.0.db), None, 256);
        let digits = |reply: Reply| Partition::parse(&reply.text()?).ok_or(db::Error::unexpected("a partition"));
        let mut all: BTreeSet<Partition> =
            self.0.db.run(all).await?.array()?.into_iter().map(digits).collect::<Result<_, _>>()?;
        all.insert(Partition::FIRST);
        Ok(all.into_iter().collect())
    }

    /// How many records are under each of these data keys.
    pub async fn census(&self, versions: &[u32]) -> Result<Vec<u64>, db::Error> {
        Ok(self.census_and_cost(versions).await?.0)
    }

    /// The same, and how many commands it took.
    pub async fn census_and_cost(&self, versions: &[u32]) -> Result<(Vec<u64>, usize), db::Error> {
        let partitions = self.partitions().await?;
        let mut counts = vec![0; versions.len()];
        for some in partitions.chunks((PER_TRIP / versions.len().max(1)).max(1)) {
            let count = |partition: &Partition| {
                let records = keys::sealed_records(&self.0.db, *partition);
                versions.iter().map(move |version| Command::zcount_scored(&records, u64::from(*version)))
            };
            let replies = self.0.db.pipeline(some.iter().flat_map(count).collect()).await?;
            for (place, reply) in (0..versions.len()).cycle().zip(replies) {
                let reply = reply.count()?;
                counts.get_mut(place).into_iter().for_each(|count| *count += reply);
            }
        }
        Ok((counts, 1 + partitions.len() * versions.len()))
    }

    /// From now on nothing is written under a data key that is older than this.
    pub async fn raise_floor(&self, version: u32) -> Result<(), db::Error> {
        // The first one before the others are listed: whoever notes a partition from now on has such a data key.
        self.raise_floors(&[Partition::FIRST], version).await?;
        self.raise_floors(&self.partitions().await?, version).await
    }

    async fn raise_floors(&self, partitions: &[Partition], version: u32) -> Result<(), db::Error> {
        for some in partitions.chunks(PER_TRIP) {
            let raise = |partition: &Partition| {
                Command::script(&FLOOR, &[&keys::floor(&self.0.db, *partition)]).number(version)
            };
            for reply in self.0.db.pipeline(some.iter().map(raise).collect()).await? {
                reply.int()?;
            }
        }
        Ok(())
    }

    /// Seals anew at most `limit` records of a partition that are under an older data key than this, past the first `skip` of
    /// them.
    pub async fn rewrap(
        &self,
        partition: Partition,
        key: &DataKey,
        skip: u64,
        limit: usize,
    ) -> Result<Rewrapped, Error> {
        let records = keys::sealed_records(&self.0.db, partition);
        let old = Command::zrange_scored_below(&records, u64::from(key.version()), skip, limit);
        let members = self.0.db.run(old).await?.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        let name = |member: &String| RecordName::parse(member).ok_or(db::Error::unexpected("a sealed record"));
        let names = members.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let mut rewrapped = Rewrapped { has_more: names.len() == limit, ..Rewrapped::default() };
        let mut commands = Vec::with_capacity(names.len());
        for (name, stored) in names.iter().zip(self.0.read_both(&names).await?) {
            let keys = [name.key(&self.0.db), records.clone(), keys::floor(&self.0.db, partition)];
            let command = Command::script(&REWRAP, &keys.each_ref());
            let Some(stored) = stored else {
                // Removed since it was listed, or by another hand, which has left it listed.
                commands.push(command.arg("").arg("").arg("").number(key.version()).arg(name.member()));
                continue;
            };
            let (vault, version) = (&self.0.vault, stored.version);
            let open = |part, sealed| name.open(vault, part, version, sealed);
            let opened = match (open(Part::Whole, &stored.sealed).await, open(Part::Details, &stored.details).await) {
                (Ok(whole), Ok(details)) => (whole, details),
                (Err(VaultError::Unopenable), _) | (_, Err(VaultError::Unopenable)) => {
                    rewrapped.unopenable += 1;
                    continue;
                }
                (Err(error), _) | (_, Err(error)) => return Err(error.into()),
            };
            commands.push(
                command
                    .arg(stored.sealed.clone())
                    .arg(name.seal(key, Part::Whole, version, &opened.0)?)
                    .arg(name.seal(key, Part::Details, version, &opened.1)?)
                    .number(key.version())
                    .arg(name.member()),
            );
        }
        for reply in self.0.db.pipeline(commands).await? {
            rewrapped.done += u64::from(reply.int()? == 1);
        }
        Ok(rewrapped)
    }
}
