//! The backend's time, as this process knows it.
//!
//! Expiry is decided where the data is, so a remaining time must be told against the clock of the
//! backend, not of the server that happens to answer. Each probe asks the backend for its time and
//! keeps the difference.

use crate::base::clock::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Estimates the backend's clock from the local one, to about half a round trip.
#[derive(Clone)]
pub struct BackendClock {
    local: Arc<dyn Clock>,
    offset_millis: Arc<AtomicI64>,
}

impl BackendClock {
    /// A clock that agrees with the local one until it learns better.
    pub fn new(local: Arc<dyn Clock>) -> Self {
        BackendClock { local, offset_millis: Arc::new(AtomicI64::new(0)) }
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.local.now().shifted(self.offset_millis.load(Ordering::Relaxed))
    }

    /// This process's own time now.
    pub fn local(&self) -> Timestamp {
        self.local.now()
    }

    /// Takes a reading of the backend's clock that was asked for at `asked`, local time.
    pub fn learn(&self, asked: Timestamp, backend: Timestamp) {
        let halfway = asked + self.local.now().since(asked) / 2;
        let difference = i128::from(backend.as_millis()) - i128::from(halfway.as_millis());
        self.offset_millis.store(i64::try_from(difference).unwrap_or(0), Ordering::Relaxed);
    }
}

/// For what stands in for the backend: it tells the same time.
impl Clock for BackendClock {
    fn micros(&self) -> u64 {
        let offset = self.offset_millis.load(Ordering::Relaxed).saturating_mul(1000);
        self.local.micros().saturating_add_signed(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use std::time::Duration;

    #[test]
    fn a_server_whose_clock_is_an_hour_off_tells_the_backends_time() {
        let wrong = ManualClock::at(Timestamp::from_millis(3_600_000));
        let clock = BackendClock::new(Arc::new(wrong.clone()));
        let asked = clock.local();
        wrong.advance(Duration::from_millis(10));
        clock.learn(asked, Timestamp::from_millis(7_205_000));
        assert_eq!(clock.now().as_millis(), 7_205_005);
        wrong.advance(Duration::from_secs(1));
        assert_eq!(clock.now().as_millis(), 7_206_005);
    }
}
