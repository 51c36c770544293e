//! A clock that is never set back.

use crate::base::clock::{Clock, SystemClock, coarse_monotonic, monotonic};
use std::time::Duration;

/// The system's time when it was made, and the monotonic time since. What a cache calls fresh must be
/// told by it: if the system's clock were set back an hour, a revoked key would work an hour longer.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    start_micros: u64,
    start: Duration,
}

impl SteadyClock {
    /// A clock that agrees with the system's now.
    pub fn start() -> Self {
        SteadyClock { start_micros: SystemClock.micros(), start: monotonic() }
    }

    fn at(&self, monotonic: Duration) -> u64 {
        let since = monotonic.saturating_sub(self.start);
        self.start_micros.saturating_add(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Clock for SteadyClock {
    fn micros(&self) -> u64 {
        self.at(monotonic())
    }

    fn coarse_micros(&self) -> u64 {
        self.at(coarse_monotonic())
    }
}
