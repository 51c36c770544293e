//! Keys: the one place that knows how they look, `prefix:{owner:pp}:family:part:part`.
//!
//! A key belongs to an owner (a tenant, or the server's own `_system`) and lies in one of 256
//! partitions of it. Owner and partition stand in the hash tag, so that everything in one partition
//! shares a Redis Cluster slot, while a large tenant spreads over the cluster. Text that a client chose
//! is encoded injectively, so that no name reaches another key, a pattern or the end of the tag.

use crate::base::id;
use bytes::Bytes;

/// One of a tenant's 256 partitions, two hexadecimal digits in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u8);

impl Partition {
    /// Where lies what is routed by nothing.
    pub const FIRST: Partition = Partition(0);

    /// The partition of whatever is routed by `name`: the first byte of its SHA-256.
    pub fn of(name: &str) -> Partition {
        let [first, ..] = id::sha256(name.as_bytes());
        Partition(first)
    }

    /// All 256, in order.
    pub fn all() -> impl Iterator<Item = Partition> {
        (0..=u8::MAX).map(Partition)
    }

    /// The one after it, if it is not the last.
    pub fn next(self) -> Option<Partition> {
        self.0.checked_add(1).map(Partition)
    }

    /// Reads the two digits that [`Partition::digits`] writes.
    pub fn parse(digits: &str) -> Option<Partition> {
        let lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if digits.len() == 2 && lower { u8::from_str_radix(digits, 16).ok().map(Partition) } else { None }
    }

    /// Two lower-case hexadecimal digits, ASCII.
    pub fn hex(self) -> [u8; 2] {
        [self.0 >> 4, self.0 & 15].map(|nibble| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
    }

    /// The same as text.
    pub fn digits(self) -> String {
        self.hex().map(char::from).iter().collect()
    }
}

/// A kind of key: its name in the key, and what `docs/keys.md` says of it.
#[derive(Debug)]
pub struct Family {
    /// The word in the key.
    pub name: &'static str,
    /// What follows it, such as `user`; empty when nothing does.
    pub parts: &'static str,
    /// The Redis type: `string`, `hash`, `set`, `zset`.
    pub kind: &'static str,
    /// What it is routed by.
    pub routed_by: &'static str,
    /// How long it lives.
    pub lives: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// Why its keys stay behind when a tenant is moved; `None` where they go along.
    pub stays: Option<&'static str>,
}

/// The name of one value in the backend. Only [`super::TenantDb`] and [`super::SystemDb`] make them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Bytes);

impl Key {
    /// The key of `family` in an owner's partition. Parts are encoded, so that different parts never
    /// make the same key.
    pub(super) fn new(prefix: &str, owner: &str, partition: Partition, family: &Family, parts: &[&str]) -> Key {
        let encoded: usize = parts.iter().map(|part| 1 + encoded_length(part)).sum();
        // Exactly as much as is needed: the bytes are then taken over as they are.
        let room = prefix.len() + owner.len() + family.name.len() + encoded + 7;
        let mut key = Vec::with_capacity(room);
        key.extend_from_slice(prefix.as_bytes());
        key.extend_from_slice(b":{");
        key.extend_from_slice(owner.as_bytes());
        key.push(b':');
        key.extend_from_slice(&partition.hex());
        key.extend_from_slice(b"}:");
        key.extend_from_slice(family.name.as_bytes());
        for part in parts {
            key.push(b':');
            encode(part, &mut key);
        }
        Key(Bytes::from(key))
    }

    /// The key of this name (a family's word and parts as they stand in a key), if it is one that the family could have.
    pub(super) fn named(prefix: &str, owner: &str, partition: Partition, family: &Family, name: &str) -> Option<Key> {
        let (word, parts) = name.split_once(':').map_or((name, None), |(word, parts)| (word, Some(parts)));
        let expected = family.parts.split(':').filter(|part| !part.is_empty()).count();
        let parts: Vec<&str> = parts.into_iter().flat_map(|parts| parts.split(':')).collect();
        let fits = word == family.name && parts.len() == expected && parts.iter().all(|part| is_encoded(part));
        fits.then(|| {
            let mut key = Key::new(prefix, owner, partition, family, &[]).0.to_vec();
            parts.iter().for_each(|part| key.extend([b":", part.as_bytes()].concat()));
            Key(Bytes::from(key))
        })
    }

    /// What stands behind the tag: a family's word and parts.
    pub(super) fn name(&self) -> Option<&str> {
        let at = self.0.windows(2).position(|two| two == b"}:")?;
        std::str::from_utf8(self.0.get(at + 2..)?).ok()
    }

    /// A key that a scan found and that was seen to be of its tenant.
    pub(super) fn scanned(bytes: Bytes) -> Key {
        Key(bytes)
    }

    /// The bytes on the wire.
    pub(super) fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// A key names a tenant and often a user: it is not for logs.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The hash tag of a key: what stands between its first `{` and the next `}`, else the whole key
/// (Redis Cluster specification, "Hash tags").
pub(super) fn tag_of(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|b| *b == b'{') else { return key };
    let rest = key.get(open + 1..).unwrap_or_default();
    match rest.iter().position(|b| *b == b'}') {
        Some(end) if end > 0 => rest.get(..end).unwrap_or_default(),
        _ => key,
    }
}

/// The unreserved characters (RFC 3986, section 2.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-')
}

/// Whether a text is one that [`encode`] writes.
fn is_encoded(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        let escapes = byte == b'%' && is_digit(bytes.next()) && is_digit(bytes.next());
        if !escapes && !is_plain(byte) {
            return false;
        }
    }
    true
}

fn encoded_length(text: &str) -> usize {
    text.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

/// `[A-Za-z0-9._~-]` as it is, every other byte as `%XX`.
fn encode(text: &str, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 15].iter().filter_map(|n| DIGITS.get(usize::from(*n))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAMILY: Family =
        Family { name: "family", parts: "", kind: "", routed_by: "", lives: "", holds: "", stays: None };

    fn key(owner: &str, partition: u8, parts: &[&str]) -> Vec<u8> {
        Key::new("agentapi", owner, Partition(partition), &FAMILY, parts).0.to_vec()
    }

    #[test]
    fn a_key_is_readable_and_its_text_encoded() {
        let key = key("acme", 0x0a, &["u:1/*{}", "é"]);
        assert_eq!(key.capacity(), key.len());
        assert_eq!(String::from_utf8(key).unwrap(), "agentapi:{acme:0a}:family:u%3A1%2F%2A%7B%7D:%C3%A9");
    }

    #[test]
    fn the_tag_is_owner_and_partition_whatever_the_parts_hold() {
        assert_eq!(tag_of(&key("acme", 255, &["}{x}"])), b"acme:ff");
        assert_eq!(tag_of(b"plain"), b"plain");
        assert_eq!(tag_of(b"a{}b"), b"a{}b");
    }

    #[test]
    fn digits_are_read_back() {
        for partition in Partition::all() {
            assert_eq!(Partition::parse(&partition.digits()), Some(partition));
        }
        for bad in ["", "0", "0g", "0A", "000", "é"] {
            assert_eq!(Partition::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_that_a_family_could_not_have_makes_no_key() {
        const PARTS: Family = Family { name: "token", parts: "user:provider", ..FAMILY };
        let named = |name: &str| Key::named("agentapi", "acme", Partition(10), &PARTS, name);
        let key = Key::new("agentapi", "acme", Partition(10), &PARTS, &["u:1{}", "é"]);
        let name = key.name().unwrap().to_owned();
        assert!(named(&name) == Some(key));
        for bad in [
            "token",
            "token:a",
            "token:a:b:c",
            "token:a:b}",
            "token:a:{b",
            "token:a:%g0",
            "token:a:%4",
            "token:a:%c3",
            "other:a:b",
            "token:a:é",
            "token:a:*",
        ] {
            assert!(named(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_injective(
            a in ("[a-z0-9][a-z0-9-]{1,9}", any::<u8>(), prop::collection::vec("\\PC{0,6}", 0..4)),
            b in ("[a-z0-9][a-z0-9-]{1,9}", any::<u8>(), prop::collection::vec("\\PC{0,6}", 0..4)),
        ) {
            let make = |(owner, partition, parts): &(String, u8, Vec<String>)| {
                key(owner, *partition, &parts.iter().map(String::as_str).collect::<Vec<_>>())
            };
            prop_assert_eq!(a == b, make(&a) == make(&b));
        }
    }
}
