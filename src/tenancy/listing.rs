//! Lists by an index: a sorted set of ids whose scores are all equal.

use crate::db::{Error, Reply};

/// Some of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items, by id.
    pub items: Vec<T>,
    /// The id after which the list goes on; nothing at its end.
    pub next: Option<String>,
}

/// The first `limit` ids of an answer that was asked for one more, and the last of them if there was. The
/// index decides, not the records: one that is being deleted must not look like the end of the list.
pub(super) fn page(ids: Reply, limit: usize) -> Result<(Vec<String>, Option<String>), Error> {
    let mut ids = ids.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().filter(|_| more).cloned();
    Ok((ids, next))
}
