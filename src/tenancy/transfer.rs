//! Moving a tenant from one backend to another: what it keeps, line by line, and back.
//!
//! What goes along is said where each family of keys is described ([`Family::stays`]). A key is read in one step, the tenant
//! is not: who wants a picture of one moment suspends it first.

mod line;
mod registry;

pub use line::{Content, End, Entry, FORMAT, Head, LONGEST_LINE, Line, Tally};
pub use registry::{ImportBegin, KeyImport};

use super::scripts::{READ, WRITE};
use crate::db::{Command, Error, Family, Key, Partition, Reply, ScanCursor, TenantDb};

/// How many keys of the database are looked at in one call.
const LOOKED_AT: u32 = 500;
/// How many keys should be read in one call: each may be large.
pub const TOGETHER: usize = 16;

/// A key of a tenant that goes along.
pub struct Found {
    partition: Partition,
    key: Key,
    name: String,
    family: &'static Family,
}

/// The families of all capabilities, of which those that do not stay go along.
#[derive(Clone)]
pub struct Families(pub Vec<&'static Family>);

impl Families {
    fn of(&self, name: &str) -> Option<&'static Family> {
        let word = name.split(':').next()?;
        self.0.iter().copied().find(|family| family.name == word && family.stays.is_none())
    }

    /// Some of the tenant's keys that go along, from where a scan is; and where it goes on.
    pub async fn find(&self, db: &TenantDb, from: &ScanCursor) -> Result<(Vec<Found>, Option<ScanCursor>), Error> {
        let scanned = db.scan(from, LOOKED_AT).await?;
        let mut found = Vec::new();
        for (partition, key) in
            scanned.keys.into_iter().flat_map(|(at, keys)| keys.into_iter().map(move |key| (at, key)))
        {
            let named = db.name_of(&key).and_then(|name| Some((name.to_owned(), self.of(name)?)));
            if let Some((name, family)) = named {
                found.push(Found { partition, key, name, family });
            }
        }
        Ok((found, scanned.next))
    }

    /// The command that writes an entry; nothing where it is not one that a tenant could have.
    pub fn write(&self, db: &TenantDb, entry: &Entry) -> Option<Command> {
        let family = self.of(&entry.name)?;
        let key = db.named(Partition::parse(&entry.partition)?, family, &entry.name)?;
        let kind = match &entry.value {
            Content::String(_) => "string",
            Content::Hash(_) => "hash",
            Content::Zset(_) => "zset",
        };
        let is_finite = |score: &str| score.parse::<f64>().is_ok_and(f64::is_finite);
        let fits = kind == family.kind && entry.value.is_a_piece() && entry.ends_at_ms != Some(0);
        let command = Command::script(&WRITE, &[&key]).arg(kind).number(entry.ends_at_ms.unwrap_or(0));
        let command = match &entry.value {
            Content::String(text) => command.arg(text.clone()),
            Content::Hash(fields) => {
                fields.iter().fold(command, |command, (field, value)| command.arg(field.clone()).arg(value.clone()))
            }
            Content::Zset(members) if members.iter().all(|(_, score)| is_finite(score)) => {
                members.iter().fold(command, |command, (member, score)| command.arg(score.clone()).arg(member.clone()))
            }
            Content::Zset(_) => return None,
        };
        // The clock of a backend counts milliseconds in 63 bits.
        (fits && entry.ends_at_ms.is_none_or(|ends| i64::try_from(ends).is_ok())).then_some(command)
    }
}

/// What these keys hold, in pieces. Of all that is found at once only so many are asked for together: [`TOGETHER`].
///
/// # Errors
/// When the backend cannot be asked, or a key holds what no version of the server writes.
pub async fn read(db: &TenantDb, found: &[Found]) -> Result<Vec<Entry>, Error> {
    let read = |found: &Found| Command::script(&READ, &[&found.key]).arg(found.family.kind);
    let replies = db.pipeline(found.iter().map(read).collect()).await?;
    let mut entries = Vec::new();
    for (Found { partition, name, family, .. }, reply) in found.iter().zip(replies) {
        // One that ended meanwhile is no more.
        let Some((ends, value)) = content(family.kind, reply)? else { continue };
        entries.extend(value.pieces().into_iter().map(|value| Entry {
            partition: partition.digits(),
            name: name.clone(),
            ends_at_ms: Some(ends).filter(|ends| *ends > 0),
            value,
        }));
    }
    Ok(entries)
}

/// When a key ends (0 for never) and what it holds; nothing where there is none.
fn content(kind: &str, reply: Reply) -> Result<Option<(u64, Content)>, Error> {
    let mut parts = reply.array()?.into_iter();
    let (Some(ends), Some(value)) = (parts.next(), parts.next()) else { return Ok(None) };
    let ends = ends.count()?;
    let mut texts = value.array()?.into_iter().map(Reply::text);
    if kind == "string" {
        return texts.next().transpose()?.map(|text| Ok((ends, Content::String(text)))).transpose();
    }
    let mut pairs = Vec::new();
    while let (Some(one), Some(other)) = (texts.next(), texts.next()) {
        pairs.push((one?, other?));
    }
    Ok(Some((ends, if kind == "hash" { Content::Hash(pairs) } else { Content::Zset(pairs) })))
}
