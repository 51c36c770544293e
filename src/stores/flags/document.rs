//! A tenant's flags as a document of flagd's schema, what one change made of it, and the way back.

use super::rules::Fault;
use super::types::{FlagChange, How};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The member of a document that holds the flags.
pub(super) const FLAGS: &str = "flags";

/// Its flags, by key; nothing where there are none.
pub(super) fn flags(document: &Map<String, Value>) -> Option<&Map<String, Value>> {
    document.get(FLAGS)?.as_object()
}

/// Its flags, which it has from now on.
pub(super) fn flags_mut(document: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    document.entry(FLAGS).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// A document without flags.
pub(super) fn empty() -> Map<String, Value> {
    Map::from_iter([(FLAGS.to_owned(), Value::Object(Map::new()))])
}

/// The most bytes of the set's metadata that all flags may repeat together: each is answered with all of it.
const MOST_REPEATED: usize = 8 << 20;

/// What is wrong with a document whose metadata is too large for so many flags.
pub(super) fn repeats_too_much(document: &Map<String, Value>) -> Option<Fault> {
    let size = document.get("metadata").map_or(0, |metadata| metadata.to_string().len());
    let repeated = size.saturating_mul(flags(document).map_or(0, Map::len));
    let detail = format!("each flag has all of it, which may be {MOST_REPEATED} bytes for all flags together");
    (repeated > MOST_REPEATED).then(|| Fault { pointer: "/metadata".to_owned(), detail })
}

/// What a version remembers of the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) by: String,
    pub(super) how: How,
    /// The version that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<u64>,
    pub(super) flags: BTreeMap<String, Before>,
    /// All other members of the document, where any of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rest: Option<Map<String, Value>>,
}

/// What became of a flag, and what it was before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) change: FlagChange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Value>,
}

fn rest(document: &Map<String, Value>) -> Map<String, Value> {
    document.iter().filter(|(name, _)| *name != FLAGS).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Change {
    /// What leads from one document to another; nothing where they are the same.
    pub(super) fn between(
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        (by, how, of): (&str, How, Option<u64>),
    ) -> Option<Change> {
        let none = Map::new();
        let (before, after) = (flags(old).unwrap_or(&none), flags(new).unwrap_or(&none));
        let mut changed = BTreeMap::new();
        for (key, was) in before {
            let change = match after.get(key) {
                Some(now) if now == was => continue,
                Some(_) => FlagChange::Changed,
                None => FlagChange::Removed,
            };
            changed.insert(key.clone(), Before { change, was: Some(was.clone()) });
        }
        for key in after.keys().filter(|key| !before.contains_key(*key)) {
            changed.insert(key.clone(), Before { change: FlagChange::Added, was: None });
        }
        let rest = Some(rest(old)).filter(|was| *was != rest(new));
        if changed.is_empty() && rest.is_none() {
            return None;
        }
        Some(Change { by: by.to_owned(), how, of, flags: changed, rest })
    }

    /// Makes of the document after this change the one before it.
    pub(super) fn undo(&self, document: &mut Map<String, Value>) {
        if let Some(rest) = &self.rest {
            let flags = document.remove(FLAGS);
            document.clone_from(rest);
            document.extend(flags.map(|flags| (FLAGS.to_owned(), flags)));
        }
        let Some(flags) = flags_mut(document) else { return };
        for (key, before) in &self.flags {
            match &before.was {
                Some(was) => flags.insert(key.clone(), was.clone()),
                None => flags.remove(key),
            };
        }
    }

    /// The versions in which flags changed last, after this change, which made this one.
    pub(super) fn dated(&self, mut changed: BTreeMap<String, u64>, version: u64) -> BTreeMap<String, u64> {
        for (key, before) in &self.flags {
            match before.change {
                FlagChange::Removed => changed.remove(key),
                FlagChange::Added | FlagChange::Changed => changed.insert(key.clone(), version),
            };
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn document() -> impl Strategy<Value = Map<String, Value>> {
        let flags = prop::collection::btree_map("[abc/~]", 0..4_u8, 0..4);
        (flags, prop::option::of(0..3_u8)).prop_map(|(flags, metadata)| {
            let mut document = empty();
            let there = flags_mut(&mut document).unwrap();
            there.extend(flags.into_iter().map(|(key, value)| (key, json!({ "state": value }))));
            document.extend(metadata.map(|metadata| ("metadata".to_owned(), json!({ "team": metadata }))));
            document
        })
    }

    const WHO: (&str, How, Option<u64>) = ("k1", How::PutFlagset, None);

    proptest! {
        #[test]
        fn every_change_can_be_undone(old in document(), new in document()) {
            match Change::between(&old, &new, WHO) {
                None => prop_assert_eq!(old, new),
                Some(change) => {
                    let stored = serde_json::to_string(&change).unwrap();
                    let read: Change = serde_json::from_str(&stored).unwrap();
                    let mut document = new;
                    read.undo(&mut document);
                    prop_assert_eq!(document, old);
                }
            }
        }

        #[test]
        fn a_flag_is_dated_by_the_last_version_that_changed_it(documents in prop::collection::vec(document(), 1..6)) {
            let (mut last, mut dates, mut version) = (empty(), BTreeMap::new(), 0);
            for next in &documents {
                let Some(change) = Change::between(&last, next, WHO) else { continue };
                version += 1;
                let dated = change.dated(dates.clone(), version);
                for (key, flag) in flags(next).unwrap() {
                    let is_old = flags(&last).unwrap().get(key) == Some(flag);
                    let expected = if is_old { dates.get(key).copied() } else { Some(version) };
                    prop_assert_eq!(dated.get(key).copied(), expected);
                }
                prop_assert_eq!(dated.len(), flags(next).unwrap().len());
                (last, dates) = (next.clone(), dated);
            }
        }
    }
}
