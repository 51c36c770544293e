//! Sealed records in the backend: how one is written under the right data key, and read.
//!
//! The version is sealed with the content, so a writer first reads which one it replaces. A data key that is about to be
//! destroyed is refused by the partition's floor, and its writer seals anew; a partition is noted before anything is sealed in
//! it, so that whoever raises floors and counts records knows of it.

use super::content::Part;
use super::keys::{self, RecordName};
use super::scripts::{NOTE, PUT, REMOVE};
use super::types::{Deleted, Error};
use crate::base::clock::Timestamp;
use crate::base::deadline::Deadline;
use crate::base::precondition::Precondition;
use crate::db::{self, Command, Partition, Reply, TenantDb};
use crate::vault::{DataKey, TenantVault};
use bytes::Bytes;

/// How often a write is tried when others write the same record meanwhile.
pub(super) const ATTEMPTS: usize = 16;
/// How many records are read in one round trip: at their largest, some 20 MiB.
const PER_TRIP: usize = 100;
/// The fields that are read, in order. Of the two envelopes that come first, readers and lists go without one each.
const FIELDS: [&str; 10] =
    ["sealed", "details", "version", "key", "created", "updated", "expires", "refreshable", "revoked", "retry_at"];

/// A record as it is stored.
#[derive(Clone, Default)]
pub(super) struct Stored {
    /// The envelope of all; empty where it was not read.
    pub(super) sealed: Bytes,
    /// The envelope of what lists show; empty where it was not read.
    pub(super) details: Bytes,
    pub(super) version: u64,
    pub(super) key: u32,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) expires: Option<Timestamp>,
    pub(super) is_refreshable: bool,
    pub(super) is_revoked: bool,
    pub(super) retry_at: Option<Timestamp>,
}

impl Stored {
    /// From the answer to the fields; nothing where there is no record.
    pub(super) fn read(fields: Vec<Reply>) -> Result<Option<Stored>, db::Error> {
        let [sealed, details, version, key, created, updated, expires, refreshable, revoked, retry_at] =
            <[Reply; 10]>::try_from(fields).map_err(|_| db::Error::unexpected("the fields of a record"))?;
        let revoked = revoked.optional_bytes()?;
        let retry_at = retry_at.optional_bytes()?;
        let Some(version) = version.optional_bytes()? else { return Ok(None) };
        let count = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).ok();
            text.and_then(|text| text.parse::<u64>().ok())
        };
        let moment = |millis: u64| (millis > 0).then(|| Timestamp::from_millis(millis));
        let stored = || {
            Some(Stored {
                sealed: sealed.optional_bytes().ok()?.unwrap_or_default(),
                details: details.optional_bytes().ok()?.unwrap_or_default(),
                version: count(&version)?,
                key: u32::try_from(key.count().ok()?).ok()?,
                created: Timestamp::from_millis(created.count().ok()?),
                updated: Timestamp::from_millis(updated.count().ok()?),
                expires: moment(expires.count().ok()?),
                is_refreshable: refreshable.count().ok()? == 1,
                is_revoked: revoked.is_some(),
                retry_at: match retry_at {
                    Some(bytes) => moment(count(&bytes)?),
                    None => None,
                },
            })
        };
        // One that was damaged is there, and does not open.
        Ok(Some(stored().unwrap_or_default()))
    }
}

impl Part {
    /// What is read of a record together with this envelope alone.
    fn fields(self) -> [&'static str; 9] {
        let [sealed, details, rest @ ..] = FIELDS;
        let [version, key, created, updated, expires, refreshable, revoked, retry_at] = rest;
        let envelope = match self {
            Part::Whole => sealed,
            Part::Details => details,
        };
        [envelope, version, key, created, updated, expires, refreshable, revoked, retry_at]
    }

    fn stored(self, fields: Reply) -> Result<Option<Stored>, db::Error> {
        let mut fields = fields.array()?;
        let place = usize::from(matches!(self, Part::Whole)).min(fields.len());
        fields.insert(place, Reply::Nil);
        Stored::read(fields)
    }
}

/// What is written.
pub(super) struct Content<'a> {
    pub(super) whole: &'a [u8],
    pub(super) details: &'a [u8],
    pub(super) expires: Option<Timestamp>,
    pub(super) is_refreshable: bool,
    /// Before when the server is not to refresh it.
    pub(super) retry_at: Option<Timestamp>,
}

/// What came of writing.
pub(super) enum Written {
    Done { version: u64, key: u32, created: Timestamp, updated: Timestamp },
    VersionMismatch,
    LeaseLost,
    LimitReached,
}

/// What came of removing what seems to have expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// It had, and is gone.
    Now,
    /// It was gone.
    Gone,
    /// It has not, or was replaced meanwhile.
    NotYet,
}

/// The sealed records of one tenant.
#[derive(Clone)]
pub(super) struct Records {
    pub(super) db: TenantDb,
    pub(super) vault: TenantVault,
}

impl Records {
    /// The same, for somebody who waits for nothing.
    pub(super) fn in_background(&self) -> Records {
        let (db, vault) = (self.db.clone().by(Deadline::NONE), self.vault.by(Deadline::NONE));
        Records { db, vault }
    }

    /// The record as it is, with the envelope of all; one round trip of one command.
    pub(super) async fn read(&self, name: &RecordName) -> Result<Option<Stored>, db::Error> {
        let read = Command::hmget(&name.key(&self.db), &Part::Whole.fields());
        Part::Whole.stored(self.db.run(read).await?)
    }

    /// The same of several, with one envelope, some in one round trip.
    pub(super) async fn read_many(&self, names: &[RecordName], part: Part) -> Result<Vec<Option<Stored>>, db::Error> {
        let mut all = Vec::with_capacity(names.len());
        for some in names.chunks(PER_TRIP) {
            let reads = some.iter().map(|name| Command::hmget(&name.key(&self.db), &part.fields())).collect();
            for reply in self.db.pipeline(reads).await? {
                all.push(part.stored(reply)?);
            }
        }
        Ok(all)
    }

    /// The same of several, with both envelopes.
    pub(super) async fn read_both(&self, names: &[RecordName]) -> Result<Vec<Option<Stored>>, db::Error> {
        let reads = names.iter().map(|name| Command::hmget(&name.key(&self.db), &FIELDS)).collect();
        let replies = self.db.pipeline(reads).await?;
        replies.into_iter().map(|reply| Stored::read(reply.array()?)).collect()
    }

    /// The version of the record; nothing where there is none.
    async fn version(&self, name: &RecordName) -> Result<Option<u64>, db::Error> {
        let version = self.db.run(Command::hget(&name.key(&self.db), "version")).await?.optional_bytes()?;
        version.map(|bytes| Reply::Bulk(bytes).count()).transpose()
    }

    /// At most `limit` names of a list, from after `after`, and the name after which it goes on.
    pub(super) async fn names(
        &self,
        list: &db::Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<String>, Option<String>), db::Error> {
        let names = self.db.run(Command::zrange_after(list, after, limit + 1)).await?.array()?;
        let mut names = names.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        let has_more = names.len() > limit;
        names.truncate(limit);
        let next = names.last().filter(|_| has_more).cloned();
        Ok((names, next))
    }

    /// Writes a record over whatever was there, if that is what was asked for: with a `lease` only if that is the last
    /// one given; at most `most` in its list.
    pub(super) async fn write(
        &self,
        name: &RecordName,
        content: &Content<'_>,
        asked: &Precondition,
        lease: Option<&str>,
        most: u64,
    ) -> Result<Written, Error> {
        let mut key = self.vault.newest().await?;
        let mut is_noted = false;
        for _ in 0..ATTEMPTS {
            let version = self.version(name).await?;
            if lease.is_some() && version.is_none() {
                return Ok(Written::LeaseLost);
            }
            if !asked.holds(version) {
                return Ok(Written::VersionMismatch);
            }
            let next = version.unwrap_or(0) + 1;
            let seal = |part, text| name.seal(&key, part, next, text);
            let (sealed, details) = (seal(Part::Whole, content.whole)?, seal(Part::Details, content.details)?);
            let partition = name.partition();
            let keys = [
                name.key(&self.db),
                name.list(&self.db),
                keys::sealed_records(&self.db, partition),
                keys::floor(&self.db, partition),
                keys::expiries(&self.db, partition),
                name.expired(&self.db),
            ];
            let command = Command::script(&PUT, &keys.each_ref())
                .arg(version.map(|version| version.to_string()).unwrap_or_default())
                .number(next)
                .number(key.version())
                .arg(sealed)
                .arg(details)
                .number(content.expires.map_or(0, Timestamp::as_millis))
                .number(u8::from(content.is_refreshable))
                .arg(name.listed().to_owned())
                .arg(name.member())
                .number(most)
                .arg(lease.unwrap_or_default().to_owned())
                .number(u8::from(is_noted))
                .number(content.retry_at.map_or(0, Timestamp::as_millis));
            let mut answer = self.db.run(command).await?.array()?.into_iter();
            let mut following = || answer.next().ok_or(db::Error::unexpected("a further answer"));
            match following()?.text()?.as_str() {
                "written" => {
                    let (created, updated) = (following()?.count()?, following()?.count()?);
                    let [created, updated] = [created, updated].map(Timestamp::from_millis);
                    return Ok(Written::Done { version: next, key: key.version(), created, updated });
                }
                "changed" => {}
                "lost" => return Ok(Written::LeaseLost),
                "full" => return Ok(Written::LimitReached),
                "unnoted" => {
                    is_noted = self.note(partition, &key).await?;
                    if !is_noted {
                        key = self.vault.newest_now().await?;
                    }
                }
                "stale" => key = self.vault.newest_now().await?,
                _ => return Err(db::Error::unexpected("a known word").into()),
            }
        }
        Err(Error::Contended)
    }

    /// Sees to it that the partition is known before something is sealed in it under this data key: whether that may be. That
    /// it is known stands in the partition itself, as its floor: it is forgotten with it when the tenant is deleted.
    async fn note(&self, partition: Partition, key: &DataKey) -> Result<bool, db::Error> {
        let keys = [keys::partitions(&self.db), keys::floor(&self.db, Partition::FIRST)];
        let note = Command::script(&NOTE, &keys.each_ref()).arg(partition.digits()).number(key.version());
        Ok(self.db.run(note).await?.int()? == 1)
    }

    /// Removes a record, if it is what was asked for.
    pub(super) async fn remove(&self, name: &RecordName, asked: &Precondition) -> Result<Deleted, Error> {
        if *asked == Precondition::default() {
            return Ok(match self.run_remove(name, None, false).await? {
                1 => Deleted::Deleted,
                _ => Deleted::NotFound,
            });
        }
        for _ in 0..ATTEMPTS {
            let version = self.version(name).await?;
            if !asked.holds(version) {
                return Ok(if version.is_some() { Deleted::VersionMismatch } else { Deleted::NotFound });
            }
            let Some(version) = version else { return Ok(Deleted::NotFound) };
            match self.run_remove(name, Some(version), false).await? {
                1 => return Ok(Deleted::Deleted),
                2 => {}
                _ => return Ok(Deleted::NotFound),
            }
        }
        Err(Error::Contended)
    }

    /// Removes a record that has expired, by the backend's clock; for a day, it is remembered that it has.
    pub(super) async fn expire(&self, name: &RecordName) -> Result<Expired, db::Error> {
        Ok(match self.run_remove(name, None, true).await? {
            1 => Expired::Now,
            0 => Expired::Gone,
            _ => Expired::NotYet,
        })
    }

    async fn run_remove(&self, name: &RecordName, version: Option<u64>, expired: bool) -> Result<i64, db::Error> {
        let partition = name.partition();
        let keys = [
            name.key(&self.db),
            name.list(&self.db),
            keys::sealed_records(&self.db, partition),
            keys::expiries(&self.db, partition),
            name.expired(&self.db),
        ];
        let command = Command::script(&REMOVE, &keys.each_ref())
            .arg(name.listed().to_owned())
            .arg(name.member())
            .arg(version.map(|version| version.to_string()).unwrap_or_default())
            .arg(if expired { "expired" } else { "" });
        self.db.run(command).await?.int()
    }

    /// Whether it is remembered that the record has expired.
    pub(super) async fn has_expired(&self, name: &RecordName) -> Result<bool, db::Error> {
        Ok(self.db.run(Command::get(&name.expired(&self.db))).await?.optional_bytes()?.is_some())
    }
}
