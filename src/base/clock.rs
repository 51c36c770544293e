//! Time comes in as an argument: whoever needs it holds a [`Clock`], and tests hold one they can move.

use rustix::time::{ClockId, clock_gettime};
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

    /// `#[serde(default, deserialize_with)]` for a member of a request that may be missing.
    pub fn deserialize_optional<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let wrong = || serde::de::Error::custom("must be a time as in 2026-01-31T08:00:00.000Z (RFC 3339, UTC)");
        let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
        text.map(|text| Timestamp::parse_rfc3339(&text).ok_or_else(wrong)).transpose()
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

impl Timestamp {
    /// RFC 3339, UTC, milliseconds, `Z`: 24 characters of ASCII. Days are turned into a date by the
    /// algorithm of Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    pub fn rfc3339(self) -> [u8; 24] {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Days since 0000-03-01, so that a leap day ends a year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |place: usize, digits: usize, mut number: u64| {
            for digit in text.iter_mut().skip(place).take(digits).rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, millis / 3_600_000);
        put(14, 2, millis / 60_000 % 60);
        put(17, 2, millis / 1_000 % 60);
        put(20, 3, millis % 1_000);
        text
    }
}

/// RFC 3339, UTC, milliseconds, `Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.rfc3339();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
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

    /// The same, up to 10 ms late: for what every request asks, as it costs a fifth where the system has such a clock.
    fn coarse_micros(&self) -> u64 {
        self.micros()
    }

    /// The time now.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.micros() / 1000)
    }

    /// The same, up to 10 ms late.
    fn coarse_now(&self) -> Timestamp {
        Timestamp::from_millis(self.coarse_micros() / 1000)
    }
}

/// Linux keeps what its clocks showed at its last tick, 1 to 10 ms ago, and tells that without reading a counter.
#[cfg(target_os = "linux")]
const COARSE: (ClockId, ClockId) = (ClockId::RealtimeCoarse, ClockId::MonotonicCoarse);
#[cfg(not(target_os = "linux"))]
const COARSE: (ClockId, ClockId) = (ClockId::Realtime, ClockId::Monotonic);

/// What the system's monotonic clock shows (POSIX, `clock_gettime`).
pub(crate) fn monotonic() -> Duration {
    shown_by(ClockId::Monotonic)
}

/// The same, up to 10 ms late.
pub(crate) fn coarse_monotonic() -> Duration {
    shown_by(COARSE.1)
}

fn shown_by(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn coarse_micros(&self) -> u64 {
        u64::try_from(shown_by(COARSE.0).as_micros()).unwrap_or(u64::MAX)
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
    fn every_day_is_written_as_the_library_that_reads_it_writes_it() {
        // A prime number of milliseconds near 19 hours: meets every day, and every hour of it, for 400 years.
        for millis in (0..12_622_780_800_000).step_by(68_400_007).chain([LAST, 951_782_400_000, 4_107_542_399_999]) {
            let time = Timestamp::from_millis(millis);
            let known = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis)).to_string();
            assert_eq!(time.to_string(), known);
            assert_eq!(Timestamp::parse_rfc3339(&known), Some(time));
        }
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
