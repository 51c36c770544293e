//! Log lines that come with the traffic, as many as somebody can read: in an outage every request would write
//! some, and the log would cost more than the answers and hide what else is in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The most lines in a second.
const PER_SECOND: u64 = 10;
/// What a count may be beside the second that it is of.
const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Says which lines of one kind are written: the first of each second.
pub struct Sparing {
    begun: OnceLock<Instant>,
    /// The second, and how many lines were asked for in it.
    state: AtomicU64,
}

impl Sparing {
    /// For one kind of line.
    pub const fn new() -> Self {
        Sparing { begun: OnceLock::new(), state: AtomicU64::new(0) }
    }

    /// Whether to write a line now: how many were left out of the last second in which there were any.
    pub fn line(&self) -> Option<u64> {
        self.line_in(self.begun.get_or_init(Instant::now).elapsed().as_secs())
    }

    fn line_in(&self, second: u64) -> Option<u64> {
        let count = |state: u64| {
            let asked = if state >> COUNT_BITS == second { state & COUNT } else { 0 };
            Some(second << COUNT_BITS | (asked + 1).min(COUNT))
        };
        let Ok(before) = self.state.fetch_update(Relaxed, Relaxed, count) else { return None };
        let asked = before & COUNT;
        if before >> COUNT_BITS == second {
            (asked < PER_SECOND).then_some(0)
        } else {
            Some(asked.saturating_sub(PER_SECOND))
        }
    }
}

impl Default for Sparing {
    fn default() -> Self {
        Sparing::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_ten_lines_and_the_next_one_says_how_many_were_left_out() {
        let sparing = Sparing::new();
        let written = |second, asked| (0..asked).filter_map(|_| sparing.line_in(second)).collect::<Vec<_>>();
        assert_eq!(written(0, 1000), [0; 10]);
        assert_eq!(written(1, 3), [990, 0, 0]);
        assert_eq!(written(9, 1), [0], "three were written of three");
        assert!(sparing.line().is_none_or(|left_out| left_out == 0));
    }
}
