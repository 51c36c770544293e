//! INFO: what this backend knows of itself, which is since when it runs and how many keys it has. Of what it does not
//! count (memory, hits) it says nothing, rather than a zero that somebody believes.

use super::refusal::{Answer, refuse};
use super::table::Table;
use crate::db::reply::Reply;
use bytes::Bytes;
use std::fmt::Write;

/// What it tells.
pub(super) struct Told {
    pub uptime_seconds: u64,
    pub keys: usize,
    pub expires: usize,
}

/// The answer: the sections that `args` name, and all when they name none.
pub(super) fn answer(args: &[Bytes], told: &Told) -> Reply {
    let named = args.get(1..).unwrap_or_default();
    let wants = |section: &[u8]| {
        let is = |name: &Bytes| {
            [section, b"default", b"all", b"everything"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        named.is_empty() || named.iter().any(is)
    };
    let mut text = String::new();
    if wants(b"server") {
        text.push_str("# Server\r\n");
        line(&mut text, format_args!("uptime_in_seconds:{}", told.uptime_seconds));
    }
    if wants(b"keyspace") {
        text.push_str(if text.is_empty() { "# Keyspace\r\n" } else { "\r\n# Keyspace\r\n" });
        if told.keys > 0 {
            line(&mut text, format_args!("db0:keys={},expires={},avg_ttl=0", told.keys, told.expires));
        }
    }
    Reply::Bulk(Bytes::from(text))
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    if writeln!(text, "{content}\r").is_err() {
        tracing::error!("a line of INFO was not written");
    }
}

/// SLOWLOG: no list, rather than an empty one that somebody believes.
pub(super) fn slow_log(_: &mut Table, _: &[Bytes]) -> Answer {
    refuse("ERR the embedded backend keeps no slow log")
}

/// INFO in a script or a transaction, which have one table alone.
pub(super) fn apart(_: &mut Table, _: &[Bytes]) -> Answer {
    refuse("ERR INFO looks at every key, and so goes alone")
}
