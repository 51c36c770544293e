//! Time comes in as an argument: whoever needs it holds a [`Clock`], and tests hold one they can move.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// The last moment that RFC 3339 can write: 9999-12-31T23:59:59.999Z.
const LAST: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch, at most the end of the year 9999.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > LAST { Timestamp(LAST) } else { Timestamp(millis) }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved by a signed number of milliseconds, within the representable range.
    pub fn shifted(self, millis: i64) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_add_signed(millis))
    }

    /// Parses an RFC 3339 time in UTC (`2026-01-31T08:00:00.000Z`).
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let time = humantime::parse_rfc3339(text).ok()?;
        let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
        Some(Timestamp::from_millis(u64::try_from(millis).ok()?))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(LAST);
        Timestamp::from_millis(self.0.saturating_add(millis))
    }
}

/// RFC 3339, UTC, milliseconds, `Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).fmt(f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now, in microseconds since the epoch.
    fn micros(&self) -> u64;

    /// The time now.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.micros() / 1000)
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved; for tests, of this crate and of those who embed it.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        ManualClock(Arc::new(AtomicU64::new(start.as_millis() * 1000)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn micros(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_as_rfc_3339_with_milliseconds_and_read_back() {
        let text = "2026-01-31T08:00:00.123Z";
        let time = Timestamp::parse_rfc3339(text).unwrap();
        assert_eq!(time.to_string(), text);
        assert_eq!(time.as_millis(), 1_769_846_400_123);
    }

    #[test]
    fn the_far_future_stays_writable() {
        let end = Timestamp::from_millis(u64::MAX) + Duration::MAX;
        assert_eq!(end.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(Timestamp::from_millis(5_000));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.now().as_millis(), 5_007);
    }
}
