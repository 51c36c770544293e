//! SCAN: what it takes and what it answers.

use super::refusal::{Answer, INVALID_CURSOR, SYNTAX, refuse};
use super::table::Table;
use super::{glob, number};
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

/// What is asked for.
pub(super) struct Scan<'a> {
    pub cursor: usize,
    /// About how many keys to look at.
    pub count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    pub fn parse(args: &'a [Bytes]) -> Result<Self, Refusal> {
        let [_, cursor, options @ ..] = args else { return refuse(SYNTAX) };
        let cursor = std::str::from_utf8(cursor).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(cursor) = cursor else { return refuse(INVALID_CURSOR) };
        // One that was never given leads to no table.
        let cursor = usize::try_from(cursor).unwrap_or(usize::MAX);
        let mut scan = Scan { cursor, count: 10, pattern: None };
        for option in options.chunks(2) {
            let [name, value] = option else { return refuse(SYNTAX) };
            match name.to_ascii_uppercase().as_slice() {
                b"MATCH" => scan.pattern = Some(value),
                b"COUNT" => match number::integer(value)? {
                    ..1 => return refuse(SYNTAX),
                    count => scan.count = usize::try_from(count).unwrap_or(usize::MAX),
                },
                _ => return refuse(SYNTAX),
            }
        }
        Ok(scan)
    }

    /// Whether a key is one of those asked for.
    pub fn wants(&self, key: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, key))
    }
}

/// The answer: where to go on, and what was found.
pub(super) fn answer(next: usize, found: Vec<Bytes>) -> Reply {
    let found = found.into_iter().map(Reply::Bulk).collect();
    Reply::Array(vec![Reply::Bulk(Bytes::from(next.to_string())), Reply::Array(found)])
}

/// In a script or a transaction, which have one table alone.
pub(super) fn apart(_: &mut Table, _: &[Bytes]) -> Answer {
    refuse("ERR SCAN looks at every key, and so goes alone")
}
