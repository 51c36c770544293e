//! Until when somebody waits. Made once, where a request comes in, and passed down: whatever is done for it,
//! second attempts and reconnects included, fits in.

use std::time::{Duration, Instant};

/// A moment after which nobody waits any more, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Nobody waits, so nothing is late: for what goes on in the background.
    pub const NONE: Deadline = Deadline(None);

    /// This long after `start`; none where that is beyond the end of time.
    pub fn after(start: Instant, limit: Duration) -> Self {
        Deadline(start.checked_add(limit))
    }

    /// Whether nobody waits any more at `now`.
    pub fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    /// How long is left, at most `longest`. Nothing left: too late to begin.
    pub fn left(self, longest: Duration) -> Duration {
        match self.0 {
            None => longest,
            Some(end) => end.saturating_duration_since(Instant::now()).min(longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_more_than_the_longest_and_ends_with_the_deadline() {
        let second = Duration::from_secs(1);
        assert_eq!(Deadline::NONE.left(second), second);
        let now = Instant::now();
        assert_eq!(Deadline::after(now, 100 * second).left(second), second);
        assert!(Deadline::after(now, second).left(100 * second) <= second);
        assert_eq!(Deadline::after(now, Duration::ZERO).left(second), Duration::ZERO);
        assert_eq!(Deadline::after(now, Duration::MAX), Deadline::NONE);
        assert!(!Deadline::NONE.is_over(now + second) && !Deadline::after(now, second).is_over(now));
        assert!(Deadline::after(now, second).is_over(now + second));
    }
}
