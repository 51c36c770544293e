//! All keys of one tenant, a bounded step at a time.
//!
//! A scan goes over the whole database and asks for what matches a pattern, in which nothing but the last `*` means
//! anything. A pattern is not trusted: whatever comes back is looked at again, and what is not exactly of the form
//! `prefix:{tenant:pp}:` becomes no [`Key`].

use super::command::Command;
use super::database::TenantDb;
use super::error::Error;
use super::key::{Key, Partition};
use super::reply::Reply;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Where a scan is. It means something to the backend that gave it, and may be kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor(String);

impl ScanCursor {
    /// The beginning.
    pub fn start() -> ScanCursor {
        ScanCursor("0".to_owned())
    }

    /// Reads a cursor: decimal digits.
    pub fn parse(text: &str) -> Option<ScanCursor> {
        (1..=20).contains(&text.len()).then_some(())?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| ScanCursor(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a step of a scan found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The tenant's keys among it, by partition. One may be found twice.
    pub keys: BTreeMap<Partition, Vec<Key>>,
    /// Where the scan goes on; nothing at its end. What was there from its beginning to its end was found.
    pub next: Option<ScanCursor>,
}

impl TenantDb {
    /// Looks at about `count` keys of the database, whosever they are, for those of this tenant.
    pub async fn scan(&self, cursor: &ScanCursor, count: u32) -> Result<Scanned, Error> {
        let start = self.key_start();
        let mut pattern = escaped(start.as_bytes());
        pattern.push(b'*');
        let [next, found] = self.run(Command::scan(cursor.as_str(), pattern, count)).await?.array_of()?;
        let next = next.text()?;
        let next = ScanCursor::parse(&next).ok_or(Error::unexpected("a cursor"))?;
        let mut scanned = Scanned { next: Some(next).filter(|next| next.0 != "0"), ..Scanned::default() };
        for key in found.array()?.into_iter().map(Reply::bytes) {
            let key = key?;
            if let Some(partition) = partition_of(&key, start.as_bytes()) {
                scanned.keys.entry(partition).or_default().push(Key::scanned(key));
            }
        }
        Ok(scanned)
    }
}

/// The partition of a key that begins with this prefix and owner, and is of the form that keys have.
fn partition_of(key: &Bytes, start: &[u8]) -> Option<Partition> {
    let rest = key.strip_prefix(start)?;
    let (digits, rest) = rest.split_at_checked(2)?;
    let partition = Partition::parse(std::str::from_utf8(digits).ok()?)?;
    rest.starts_with(b"}:").then_some(partition)
}

/// A pattern that matches this text alone.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len() + 8);
    for byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::base::text::TenantId;
    use crate::db::transport::memory::Memory;
    use crate::db::{BackendClock, Database, Expiry, Family};
    use std::sync::Arc;

    const FAMILY: Family = Family { name: "f", parts: "", kind: "", routed_by: "", lives: "", holds: "", stays: None };

    async fn all(db: &TenantDb) -> Vec<Bytes> {
        let (mut found, mut cursor) = (Vec::new(), ScanCursor::start());
        loop {
            let scanned = db.scan(&cursor, 10).await.unwrap();
            for (partition, keys) in scanned.keys {
                for key in keys {
                    let tag = format!("{}:{}", db.tenant(), partition.digits());
                    assert_eq!(crate::db::key::tag_of(key.as_bytes()), tag.as_bytes());
                    found.push(key.as_bytes().clone());
                }
            }
            match scanned.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn a_scan_finds_every_key_of_its_tenant_and_none_of_another_whatever_they_are_called() {
        let clock: Arc<SystemClock> = Arc::new(SystemClock);
        let memory = Arc::new(Memory::new(clock.clone()));
        for prefix in ["agentapi", "agent*", "a?i[x]\\", "agentapi2"] {
            let database = Database::new(memory.clone(), prefix, BackendClock::new(clock.clone()));
            for tenant in ["aa", "aa2", "aa-2", "a2", "aaa", "2aa"] {
                let db = database.tenant(&TenantId::parse(tenant).unwrap());
                let keys = Partition::all().map(|partition| db.key(partition, &FAMILY, &["*", "{aa:00}"]));
                let sets = keys.map(|key| Command::set(&key, "v", Expiry::Never)).collect();
                for reply in db.pipeline(sets).await.unwrap() {
                    reply.done().unwrap();
                }
            }
            let system = database.system();
            system.run(Command::set(&system.key(&FAMILY, &["aa"]), "v", Expiry::Never)).await.unwrap().done().unwrap();
        }
        for prefix in ["agentapi", "agent*", "a?i[x]\\", "agentapi2"] {
            let database = Database::new(memory.clone(), prefix, BackendClock::new(clock.clone()));
            for tenant in ["aa", "aa2", "aa-2", "a2", "aaa", "2aa"] {
                let db = database.tenant(&TenantId::parse(tenant).unwrap());
                let mut own: Vec<Bytes> = Partition::all()
                    .map(|partition| db.key(partition, &FAMILY, &["*", "{aa:00}"]).as_bytes().clone())
                    .collect();
                own.sort();
                assert_eq!(all(&db).await, own, "{prefix} {tenant}");
            }
        }
    }

    #[test]
    fn what_is_not_of_the_form_of_a_key_is_none() {
        let start = b"agentapi:{aa:";
        let partition = |key: &'static str| partition_of(&Bytes::from_static(key.as_bytes()), start);
        assert_eq!(partition("agentapi:{aa:0f}:session:x"), Partition::parse("0f"));
        for other in [
            "",
            "agentapi:{aa:",
            "agentapi:{aa:0f",
            "agentapi:{aa:0f}",
            "agentapi:{aa:0f}x",
            "agentapi:{aa:0F}:x",
            "agentapi:{aa:0ff}:x",
            "agentapi:{aa2:0f}:x",
            "xagentapi:{aa:0f}:x",
            "agentapi:{aa:é}:x",
        ] {
            assert_eq!(partition(other), None, "{other}");
        }
        assert!(["", "x", "-1", "1 ", "123456789012345678901"].iter().all(|text| ScanCursor::parse(text).is_none()));
    }
}
