//! The keys of one stripe: their values, when they expire, and the one moment at which a turn looks at them.
//!
//! Every look goes through [`Table::entry`], so a key past its time is absent to everything.

use super::channels::Channels;
use super::refusal::{WRONG_TYPE, refuse};
use super::sorted_set::SortedSet;
use crate::db::Refusal;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a key holds.
pub(super) enum Value {
    String(Bytes),
    Hash(HashMap<Bytes, Bytes>),
    SortedSet(SortedSet),
}

/// A value and its time.
pub(super) struct Entry {
    pub value: Value,
    /// The last millisecond of its life; `None` for ever.
    pub expires: Option<u64>,
}

/// Keys with their values.
#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<Bytes, Entry>,
    /// Every key that expires, soonest first: what lets a sweep touch only what it removes.
    expiries: BTreeSet<(u64, Bytes)>,
    micros: u64,
    /// Where what is published goes; nowhere if the table stands alone.
    channels: Option<Arc<Channels>>,
}

impl Table {
    /// An empty table whose commands publish to these.
    pub fn publishing_to(channels: &Arc<Channels>) -> Self {
        Table { channels: Some(channels.clone()), ..Table::default() }
    }

    /// Where what is published goes.
    pub fn channels(&self) -> Option<&Channels> {
        self.channels.as_deref()
    }

    /// Sets the time, in microseconds, for all that follows until the next turn.
    pub fn begin_turn(&mut self, micros: u64) {
        self.micros = micros;
    }

    /// The time of this turn, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros
    }

    /// The time of this turn, in milliseconds.
    pub fn millis(&self) -> u64 {
        self.micros / 1000
    }

    /// How many keys there are, with those that expired and were not looked at since.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them have a time.
    pub fn expiring(&self) -> usize {
        self.expiries.len()
    }

    /// The keys that are not past their time.
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        let now = self.millis();
        self.entries.iter().filter(move |(_, entry)| entry.expires.is_none_or(|at| now <= at)).map(|(key, _)| key)
    }

    /// The entry of a key. One past its time is removed and not seen. As in Redis, the millisecond of the
    /// expiry itself still belongs to the key.
    pub fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let now = self.millis();
        if self.entries.get(key)?.expires.is_some_and(|at| now > at) {
            self.remove(key);
            return None;
        }
        self.entries.get_mut(key)
    }

    /// Puts an entry over whatever was there.
    pub fn put(&mut self, key: Bytes, entry: Entry) {
        if let Some(at) = entry.expires {
            self.expiries.insert((at, key.clone()));
        }
        let expires = entry.expires;
        let old = self.entries.insert(key.clone(), entry);
        if let Some(at) = old.and_then(|old| old.expires).filter(|at| expires != Some(*at)) {
            self.expiries.remove(&(at, key));
        }
    }

    /// Takes an entry out, expired or not.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let (key, entry) = self.entries.remove_entry(key)?;
        if let Some(at) = entry.expires {
            self.expiries.remove(&(at, key));
        }
        Some(entry)
    }

    /// Gives a key that exists a new time.
    pub fn expire(&mut self, key: &Bytes, at: u64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(old) = entry.expires.replace(at) {
            self.expiries.remove(&(old, key.clone()));
        }
        self.expiries.insert((at, key.clone()));
    }

    /// Removes up to `most` keys past their time: how many it were.
    pub fn sweep(&mut self, most: usize) -> usize {
        let now = self.millis();
        let mut swept = 0;
        while swept < most && self.expiries.first().is_some_and(|(at, _)| now > *at) {
            let Some((_, key)) = self.expiries.pop_first() else { break };
            self.entries.remove(&key);
            swept += 1;
        }
        if swept > 0 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        swept
    }

    /// The string at a key.
    pub fn string(&mut self, key: &[u8]) -> Result<Option<&mut Bytes>, Refusal> {
        match self.entry(key).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string)),
            Some(_) => refuse(WRONG_TYPE),
        }
    }

    /// The hash at a key.
    pub fn hash(&mut self, key: &[u8]) -> Result<Option<&mut HashMap<Bytes, Bytes>>, Refusal> {
        match self.entry(key).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => refuse(WRONG_TYPE),
        }
    }

    /// The hash at a key, made if there is nothing.
    pub fn hash_or_new(&mut self, key: &Bytes) -> Result<&mut HashMap<Bytes, Bytes>, Refusal> {
        match self.value_or(key, || Value::Hash(HashMap::new())) {
            Value::Hash(hash) => Ok(hash),
            _ => refuse(WRONG_TYPE),
        }
    }

    /// The sorted set at a key.
    pub fn sorted_set(&mut self, key: &[u8]) -> Result<Option<&mut SortedSet>, Refusal> {
        match self.entry(key).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::SortedSet(set)) => Ok(Some(set)),
            Some(_) => refuse(WRONG_TYPE),
        }
    }

    /// The sorted set at a key, made if there is nothing.
    pub fn sorted_set_or_new(&mut self, key: &Bytes) -> Result<&mut SortedSet, Refusal> {
        match self.value_or(key, || Value::SortedSet(SortedSet::default())) {
            Value::SortedSet(set) => Ok(set),
            _ => refuse(WRONG_TYPE),
        }
    }

    fn value_or(&mut self, key: &Bytes, make: impl FnOnce() -> Value) -> &mut Value {
        self.entry(key);
        &mut self.entries.entry(key.clone()).or_insert_with(|| Entry { value: make(), expires: None }).value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(expires: Option<u64>) -> Entry {
        Entry { value: Value::String(Bytes::from_static(b"v")), expires }
    }

    #[test]
    fn a_sweep_removes_what_expired_and_no_more_than_it_may() {
        let mut table = Table::default();
        for n in 0..10u64 {
            table.put(Bytes::from(n.to_string()), string(Some(n)));
        }
        table.put(Bytes::from_static(b"for ever"), string(None));
        table.begin_turn(5_000);
        assert_eq!(table.sweep(3), 3);
        assert_eq!(table.sweep(100), 2);
        assert_eq!(table.sweep(100), 0);
        assert_eq!(table.len(), 6);
    }

    #[test]
    fn the_order_of_expiry_follows_every_change_of_an_entry() {
        let mut table = Table::default();
        let key = Bytes::from_static(b"k");
        table.put(key.clone(), string(Some(5)));
        table.put(key.clone(), string(Some(5)));
        assert_eq!(table.expiries.len(), 1);
        table.expire(&key, 9);
        assert_eq!(table.expiries.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [9]);
        table.put(key.clone(), string(None));
        assert!(table.expiries.is_empty());
        table.expire(&key, 7);
        table.begin_turn(8_000);
        assert!(table.entry(&key).is_none());
        assert!(table.expiries.is_empty() && table.entries.is_empty());
    }
}
