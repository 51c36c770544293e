//! The definitions of a tenant's flags: read, and changed a version at a time.
//!
//! The set is one document, and so is what is written: an edit reads it, makes the next one of it, has that checked and
//! compiled, and writes it if nobody else has written meanwhile. So nothing is ever stored that does not evaluate, and
//! two who edit different flags do not undo one another.

use super::counts::{self, Day};
use super::document::{self, Change};
use super::live::Live;
use super::rules::{Fault, Ruleset};
use super::types::{Error, FlagChange, FlagSet, How, MOST_BYTES, Put, REMEMBERED, Version, Written};
use super::{keys, scripts};
use crate::base::clock::Timestamp;
use crate::base::id;
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use crate::db::{self, Command, Delivery, ErrorKind, Reply, TenantDb};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often an edit is tried while others write.
const ATTEMPTS: usize = 16;
/// How many changes are read at a time: each may hold a whole set, and how much a backend may answer is bounded.
const TOGETHER: u64 = 8;

/// The flags of one tenant.
#[derive(Clone)]
pub struct Flags {
    db: TenantDb,
    live: Arc<Live>,
}

impl Flags {
    /// The flags in `db`; `live` hears of changes.
    pub fn new(db: TenantDb, live: Arc<Live>) -> Flags {
        Flags { db, live }
    }

    /// The whole set, empty where there is none.
    pub async fn read(&self) -> Result<FlagSet, Error> {
        let fields = Command::hmget(&keys::flagset(&self.db), &["version", "document", "changed", "updated"]);
        Ok(parsed(self.db.run(fields).await?)?)
    }

    /// Puts a flag. Its version is the one of the set in which it changed last, for conditions on it too.
    pub async fn put(&self, key: &Name, flag: &Value, asked: &Precondition, by: &str) -> Result<Put, Error> {
        let edit = |set: &FlagSet| {
            if !asked.holds(set.changed.get(key.as_str()).copied()) {
                return Err(Put::VersionMismatch);
            }
            let mut document = set.document.clone();
            if let Some(flags) = document::flags_mut(&mut document) {
                flags.insert(key.as_str().to_owned(), flag.clone());
            }
            Ok(document)
        };
        let put = self.edit(edit, (by, How::PutFlag, None)).await?;
        Ok(match put {
            Put::Written(written) => {
                let is_new = written.flags.get(key.as_str()) == Some(&FlagChange::Added);
                Put::Written(Box::new(Written { is_new, ..*written }))
            }
            // The client sent the flag alone, and is told of places in it.
            Put::Invalid(faults) => Put::Invalid(faults.into_iter().map(|fault| fault.within(key.as_str())).collect()),
            other => other,
        })
    }

    /// Deletes a flag.
    pub async fn delete(&self, key: &Name, asked: &Precondition, by: &str) -> Result<Put, Error> {
        let edit = |set: &FlagSet| {
            let Some(version) = set.changed.get(key.as_str()) else { return Err(Put::NotFound) };
            if !asked.holds(Some(*version)) {
                return Err(Put::VersionMismatch);
            }
            let mut document = set.document.clone();
            if let Some(flags) = document::flags_mut(&mut document) {
                flags.remove(key.as_str());
            }
            Ok(document)
        };
        self.edit(edit, (by, How::DeleteFlag, None)).await
    }

    /// Replaces the whole set.
    pub async fn replace(&self, new: &Map<String, Value>, asked: &Precondition, by: &str) -> Result<Put, Error> {
        self.put_whole(new, asked, (by, How::PutFlagset, None)).await
    }

    /// Makes the set what it was at a version. That is a new version.
    pub async fn restore(&self, version: u64, asked: &Precondition, by: &str) -> Result<Put, Error> {
        let Some(document) = self.at(version).await? else { return Ok(Put::NotFound) };
        self.put_whole(&document, asked, (by, How::Restore, Some(version))).await
    }

    async fn put_whole(
        &self,
        new: &Map<String, Value>,
        asked: &Precondition,
        why: (&str, How, Option<u64>),
    ) -> Result<Put, Error> {
        let edit = |set: &FlagSet| match asked.holds(set.existing()) {
            true => Ok(new.clone()),
            false => Err(Put::VersionMismatch),
        };
        self.edit(edit, why).await
    }

    /// The document as it was at a version; nothing where it is not known any more, or not yet.
    pub async fn at(&self, version: u64) -> Result<Option<Map<String, Value>>, Error> {
        let lowest = version.saturating_add(1);
        let (newest, document, mut changes) = self.history(0, lowest, true).await?;
        if version == 0 || version > newest {
            return Ok(None);
        }
        let mut document = object(&document).ok_or(db::Error::unexpected("a set of flags"))?;
        let mut reached = newest;
        loop {
            for change in changes {
                let Some((_, change)) = change else { return Ok(None) };
                change.undo(&mut document);
                reached = reached.saturating_sub(1);
            }
            if reached == version {
                return Ok(Some(document));
            }
            changes = self.history(reached, lowest, false).await?.2;
            if changes.is_empty() {
                return Ok(None);
            }
        }
    }

    /// At most `limit` versions, the newest first, from below `below`.
    pub async fn versions(&self, mut below: Option<u64>, limit: usize) -> Result<Vec<Version>, Error> {
        let mut versions = Vec::new();
        while versions.len() < limit && below.is_none_or(|below| below > 1) {
            let from = below.map_or(0, |below| below - 1);
            let (newest, _, changes) = self.history(from, 1, false).await?;
            let from = if from == 0 { newest } else { from.min(newest) };
            let numbered = (1..=from).rev().zip(changes);
            let known =
                numbered.map_while(|(version, change)| change.map(|(at, change)| Version::of(version, at, change)));
            let before = versions.len();
            versions.extend(known.take(limit - before));
            if versions.len() == before {
                break;
            }
            below = versions.last().map(|last| last.version);
        }
        Ok(versions)
    }

    /// What a flag gave on each of the last `days` days, today included, the latest first.
    pub async fn evaluations(&self, key: &Name, days: u64) -> Result<Vec<Day>, Error> {
        Ok(counts::read(&self.db, key, days).await?)
    }

    /// The version of the set, its text if asked for, and what is remembered of versions from `from` down to `lowest`, of
    /// [`TOGETHER`] at most.
    async fn history(&self, from: u64, lowest: u64, whole: bool) -> Result<(u64, Bytes, Vec<Remembered>), Error> {
        let keys = [keys::flagset(&self.db), keys::history(&self.db)];
        let command = Command::script(&scripts::HISTORY, &keys.each_ref()).number(from);
        let command = command.number(lowest).number(REMEMBERED).number(u8::from(whole)).number(TOGETHER);
        let [version, document, changes] = self.db.run(command).await?.array_of()?;
        let changes = changes.array()?.into_iter().map(remembered).collect::<Result<_, _>>()?;
        Ok((number(version)?, document.bytes()?, changes))
    }

    /// Writes what `edit` makes of the set, or answers why it makes nothing of it.
    async fn edit(
        &self,
        edit: impl Fn(&FlagSet) -> Result<Map<String, Value>, Put>,
        (by, how, of): (&str, How, Option<u64>),
    ) -> Result<Put, Error> {
        for _ in 0..ATTEMPTS {
            let set = self.read().await?;
            let document = match edit(&set) {
                Ok(document) => document,
                Err(refused) => return Ok(refused),
            };
            let text = serde_json::to_string(&document).map_err(|_| db::Error::unexpected("flags as JSON"))?;
            if text.len() > MOST_BYTES {
                return Ok(Put::TooLarge);
            }
            // Before it is compiled, which is where the memory would go.
            if let Some(fault) = document::repeats_too_much(&document) {
                return Ok(Put::Invalid(vec![fault]));
            }
            // What is there already is checked all the same: it may have been put into the backend by somebody else.
            let document = match compiled(document).await? {
                Ok(document) => document,
                Err(faults) => return Ok(Put::Invalid(faults)),
            };
            let Some(change) = Change::between(&set.document, &document, (by, how, of)) else {
                return Ok(Put::Written(Box::new(Written { set, flags: Default::default(), is_new: false })));
            };
            let changed = change.dated(set.changed.clone(), set.version + 1);
            if let Some((version, updated)) = self.write(set.version, &text, &changed, &change).await? {
                let flags = change.flags.into_iter().map(|(key, before)| (key, before.change)).collect();
                let new = FlagSet { version, document, changed, updated: Some(updated) };
                return Ok(Put::Written(Box::new(Written { set: new, flags, is_new: version == 1 })));
            }
        }
        Err(Error::Contended)
    }

    /// Writes the version after this one; nothing where it is not the last any more.
    async fn write(
        &self,
        version: u64,
        text: &str,
        changed: &BTreeMap<String, u64>,
        change: &Change,
    ) -> Result<Option<(u64, Timestamp)>, Error> {
        let json = |written: Result<String, _>| written.map_err(|_| db::Error::unexpected("flags as JSON"));
        let keys = [keys::flagset(&self.db), keys::history(&self.db)];
        let command = Command::script(&scripts::WRITE, &keys.each_ref())
            .number(version)
            .arg(text.to_owned())
            .arg(json(serde_json::to_string(changed))?)
            .arg(id::fingerprint(text))
            .arg(json(serde_json::to_string(change))?)
            .number(REMEMBERED);
        let (db, live) = (self.db.clone(), self.live.clone());
        // By itself: where the client goes or the request takes too long, what was written would be told to nobody.
        let write = tokio::spawn(async move {
            let written = db.run(command).await;
            // Whatever became of it: others look for themselves.
            live.changed(db.tenant()).await;
            written
        });
        let lost = || db::Error::new(ErrorKind::Unexpected("a write that ends"), Delivery::Unknown);
        let written = write.await.map_err(|_| lost())??.array()?;
        if written.is_empty() {
            return Ok(None);
        }
        let [version, updated] = written.try_into().map_err(|_| db::Error::unexpected("a version and a time"))?;
        Ok(Some((number(version)?, Timestamp::from_millis(number(updated)?))))
    }
}

/// Checks and compiles a document, which may take a while: on a thread that serves nobody.
async fn compiled(document: Map<String, Value>) -> Result<Result<Map<String, Value>, Vec<Fault>>, Error> {
    let work = move || Ruleset::compile(&document).map(|_| document);
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::NotCompiled)
}

type Remembered = Option<(Timestamp, Change)>;

fn remembered(reply: Reply) -> Result<Remembered, db::Error> {
    let Some(bytes) = reply.optional_bytes()? else { return Ok(None) };
    let read = || {
        let (at, change) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
        Some((Timestamp::from_millis(at.parse().ok()?), serde_json::from_str(change).ok()?))
    };
    read().map(Some).ok_or(db::Error::unexpected("a change of flags"))
}

fn number(reply: Reply) -> Result<u64, db::Error> {
    reply.text()?.parse().map_err(|_| db::Error::unexpected("a number"))
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(text).ok()
}

fn parsed(reply: Reply) -> Result<FlagSet, db::Error> {
    let [version, document, changed, updated] = reply.array_of()?;
    let Some(version) = version.optional_bytes()? else {
        return Ok(FlagSet { version: 0, document: document::empty(), changed: Default::default(), updated: None });
    };
    let (document, changed) = (document.bytes()?, changed.bytes()?);
    let read = || {
        let updated = number(updated).ok()?;
        Some(FlagSet {
            version: std::str::from_utf8(&version).ok()?.parse().ok()?,
            document: object(&document)?,
            changed: serde_json::from_slice(&changed).ok()?,
            updated: Some(Timestamp::from_millis(updated)),
        })
    };
    read().ok_or(db::Error::unexpected("a set of flags"))
}
