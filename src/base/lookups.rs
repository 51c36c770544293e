//! How often something was found where it was remembered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts look-ups. Stands on a cache line of its own, since every worker writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    /// One look-up, that found what it looked for or did not.
    pub fn count(&self, is_hit: bool) {
        let count = if is_hit { &self.hits } else { &self.misses };
        count.fetch_add(1, Relaxed);
    }

    /// How many found it.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// How many did not.
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }
}
