//! The lines of an export: a head, the API keys, everything else that the tenant keeps, and an end that tells whether all
//! arrived. Each is an object with one member, which says what it is.

use crate::base::clock::Timestamp;
use crate::tenancy::Tenant;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;
/// The most bytes of a line.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;
/// The most members of a hash or a sorted set in one line: as many as a script takes at once.
const MOST_MEMBERS: usize = 500;
/// About how many bytes of them.
const MOST_BYTES: usize = 256 * 1024;

/// One line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Line {
    /// The first.
    #[serde(rename = "agentapi_export")]
    Head(Box<Head>),
    /// An API key as it is stored, with the SHA-256 of its secret.
    #[serde(rename = "api_key")]
    ApiKey(String),
    /// A key of the tenant, or a part of one.
    #[serde(rename = "key")]
    Entry(Entry),
    /// The last.
    #[serde(rename = "end")]
    End(End),
}

/// What it is and where it comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The format, [`FORMAT`].
    pub format: u32,
    /// The version of the server that wrote it.
    pub version: String,
    /// When, by its backend's clock, RFC 3339.
    pub exported_at: String,
    /// The tenant.
    pub tenant: Tenant,
    /// The root keys that its data keys are wrapped under, by their public ids.
    pub root_keys: Vec<String>,
    /// Its data keys as they are stored, wrapped; null where it has none.
    pub data_keys: Option<String>,
}

/// A key and what it holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its partition, two hexadecimal digits.
    pub partition: String,
    /// Its family and parts, as they stand in the key.
    pub name: String,
    /// When it ends by the backend's clock, ms; null for never.
    pub ends_at_ms: Option<u64>,
    /// What it holds, all or some of it.
    pub value: Content,
}

/// What a key holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A value.
    String(String),
    /// Fields and values.
    Hash(Vec<(String, String)>),
    /// Members and scores.
    Zset(Vec<(String, String)>),
}

/// How the lines before it are known to be all.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many there are.
    pub lines: u64,
    /// The SHA-256 of all of them, with the line feed after each, hexadecimal.
    pub sha256: String,
}

impl Line {
    /// Reads a line; what is wrong with it quotes nothing of it.
    ///
    /// # Errors
    /// In words for people.
    pub fn parse(text: &[u8]) -> Result<Line, &'static str> {
        serde_json::from_slice(text).map_err(|_| "is not a line of an export in the format that this version reads")
    }

    /// Its text without a line feed; nothing where it would be too long.
    pub fn text(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|text| text.len() <= LONGEST_LINE)
    }
}

/// Shows the shape alone: what it holds is a client's.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::String(text) => write!(f, "String({} bytes)", text.len()),
            Content::Hash(fields) => write!(f, "Hash({} fields)", fields.len()),
            Content::Zset(members) => write!(f, "Zset({} members)", members.len()),
        }
    }
}

impl Content {
    /// In pieces of a size that one line may have, at least one.
    pub(super) fn pieces(self) -> Vec<Content> {
        let (members, of): (_, fn(_) -> Content) = match self {
            Content::String(_) => return vec![self],
            Content::Hash(fields) => (fields, Content::Hash),
            Content::Zset(members) => (members, Content::Zset),
        };
        let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (one, other) in members {
            bytes += one.len() + other.len();
            piece.push((one, other));
            if piece.len() == MOST_MEMBERS || bytes >= MOST_BYTES {
                pieces.push(of(std::mem::take(&mut piece)));
                bytes = 0;
            }
        }
        if !piece.is_empty() {
            pieces.push(of(piece));
        }
        pieces
    }

    /// Whether it is a piece that [`Content::pieces`] may have made.
    pub(super) fn is_a_piece(&self) -> bool {
        match self {
            Content::String(_) => true,
            Content::Hash(members) | Content::Zset(members) => (1..=MOST_MEMBERS).contains(&members.len()),
        }
    }
}

/// Counts and digests lines as they pass.
#[derive(Clone, Default)]
pub struct Tally {
    lines: u64,
    digest: Sha256,
}

impl Tally {
    /// Takes in a line, without its line feed.
    pub fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        self.digest.update(line);
        self.digest.update(b"\n");
    }

    /// How many there were.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The line that ends them.
    pub fn end(&self) -> End {
        let digest = self.digest.clone().finalize();
        End { lines: self.lines, sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

impl Head {
    /// The head of an export that begins now.
    pub fn new(tenant: Tenant, root_keys: Vec<String>, data_keys: Option<String>, now: Timestamp) -> Head {
        let exported_at = now.rfc3339().map(char::from).iter().collect();
        Head {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            exported_at,
            tenant,
            root_keys,
            data_keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content() -> impl Strategy<Value = Content> {
        let pairs = || prop::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 0..1200);
        prop_oneof![
            "\\PC{0,40}".prop_map(Content::String),
            pairs().prop_map(Content::Hash),
            pairs().prop_map(Content::Zset),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_line_is_read_back_as_it_was_written(value in content(), name in "\\PC{0,20}", ends in any::<Option<u64>>()) {
            let pieces = value.clone().pieces();
            prop_assert!(pieces.iter().all(Content::is_a_piece));
            let mut whole = Vec::new();
            for piece in pieces {
                let entry = Entry { partition: "0a".into(), name: name.clone(), ends_at_ms: ends, value: piece.clone() };
                let text = Line::Entry(entry.clone()).text().unwrap();
                prop_assert!(!text.contains(&b'\n'));
                prop_assert!(Line::parse(&text) == Ok(Line::Entry(entry)));
                match piece {
                    Content::String(_) => prop_assert!(piece == value),
                    Content::Hash(members) | Content::Zset(members) => whole.extend(members),
                }
            }
            if let Content::Hash(members) | Content::Zset(members) = value {
                prop_assert!(whole == members);
            }
        }

        #[test]
        fn no_line_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..80), json in "[\\[\\]{}\":,a-z_0-9]{0,60}") {
            drop(Line::parse(&text));
            drop(Line::parse(json.as_bytes()));
        }
    }

    #[test]
    fn no_member_is_lost_where_a_piece_ends() {
        for count in [0, 1, 499, 500, 501, 1000, 1001] {
            let fields = vec![("f".to_owned(), "v".to_owned()); count];
            let pieces = Content::Hash(fields).pieces();
            let sizes = pieces.iter().map(|piece| if let Content::Hash(fields) = piece { fields.len() } else { 0 });
            assert_eq!((pieces.len(), sizes.sum::<usize>()), (count.div_ceil(MOST_MEMBERS), count));
        }
        let large = vec![("f".to_owned(), "v".repeat(MOST_BYTES)); 3];
        assert_eq!(Content::Zset(large).pieces().len(), 3);
    }

    #[test]
    fn what_is_unknown_in_a_line_is_refused() {
        for text in [
            r#"{"key":{"partition":"00","name":"a","ends_at_ms":null,"value":{"string":"x"},"more":1}}"#,
            r#"{"key":{"partition":"00","name":"a","ends_at_ms":null,"value":{"list":["x"]}}}"#,
            r#"{"key":{"partition":"00","name":"a","ends_at_ms":-1,"value":{"string":"x"}}}"#,
            r#"{"end":{"lines":1}}"#,
            r#"{"other":{}}"#,
            r#"{"api_key":"a","end":{"lines":1,"sha256":""}}"#,
            "[]",
            "",
        ] {
            assert!(Line::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
