//! How often something was found where it was remembered.

use super::sum::{Part, Sum};

/// Counts look-ups.
#[derive(Debug, Default)]
pub struct Lookups {
    hits: Sum,
    misses: Sum,
}

impl Lookups {
    /// One look-up, that found what it looked for or did not.
    pub fn count(&self, is_hit: bool) {
        let count = if is_hit { &self.hits } else { &self.misses };
        count.add(1);
    }

    /// For the hits of one thread.
    pub fn hits_of_thread(&self) -> Part {
        self.hits.part()
    }

    /// How many found it.
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// How many did not.
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }
}
