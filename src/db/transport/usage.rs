//! What a backend holds open and what it had to say twice: counted where it happens, read when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much a backend is using.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections that carry calls; over REST, requests under way.
    pub connections: u64,
    /// The most there may be; nothing where that is not bounded.
    pub most_connections: Option<u64>,
    /// Connections that hear what is published.
    pub listeners: u64,
    /// Scripts that the backend did not know and was told again.
    pub script_misses: u64,
}

/// Tells how much it is using.
pub trait Used: Send + Sync {
    /// How much it is now.
    fn usage(&self) -> Usage;
}

/// How many of something are open; clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Open(Arc<AtomicU64>);

impl Open {
    /// One more, until what is returned is dropped.
    pub(super) fn one(&self) -> Held {
        self.0.fetch_add(1, Relaxed);
        Held(self.clone())
    }

    /// How many there are.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One that is open.
#[derive(Debug)]
pub(super) struct Held(Open);

impl Held {
    /// The same thing; whatever does this to all it yields holds this one as long as it lives.
    pub(super) fn with<T>(&self, it: T) -> T {
        it
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let open = Open::default();
        let held = [open.one(), open.one()];
        assert_eq!(open.now(), 2);
        assert_eq!((held[0].with("a message"), open.now()), ("a message", 2));
        drop(held);
        assert_eq!(open.now(), 0);
    }
}
