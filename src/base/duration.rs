//! Durations as people write them: whole seconds (`3600`) or a number with a unit (`500ms`, `30s`,
//! `5m`, `1h`, `7d`). Used by the environment and by request bodies alike.

use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// The longest duration that is taken: a hundred years, so that sums stay writable as times.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Why a text is not a duration. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration: whole seconds, or a whole number followed by ms, s, m, h or d, at most 36500d")]
pub struct NotADuration;

/// Parses `"3600"`, `"500ms"`, `"30s"`, `"5m"`, `"1h"` or `"7d"`.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(NotADuration)?;
    let number: u64 = number.parse().map_err(|_| NotADuration)?;
    let millis_per_unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(NotADuration),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or(NotADuration)?;
    let duration = Duration::from_millis(millis);
    if duration > LONGEST { Err(NotADuration) } else { Ok(duration) }
}

/// Digits as seconds, as other servers write them (`Retry-After`, `expires_in`). More of them than fit are a very long time.
pub fn whole_seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// Whole milliseconds, rounded up: at least one of them unless the duration is nothing, so that whoever waits so long does
/// not come too early.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A duration in a request body: a JSON integer of seconds, or text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationField(pub Duration);

impl<'de> Deserialize<'de> for DurationField {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = DurationField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration")
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<DurationField, E> {
                let duration = Duration::from_secs(seconds);
                if duration > LONGEST { Err(E::custom(NotADuration)) } else { Ok(DurationField(duration)) }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DurationField, E> {
                parse(text).map(DurationField).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for DurationField {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": LONGEST.as_secs()},
                {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)?$"}
            ],
            "description": "Whole seconds, or a number followed by ms, s, m, h or d"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, millis) in [
            ("3600", 3_600_000),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["", "s", "-1", "1.5s", "1 s", " 1s", "1S", "1w", "1hm", "99999999999999999999", "36501d", "é", "5é"]
        {
            assert_eq!(parse(text), Err(NotADuration), "{text}");
        }
    }

    #[test]
    fn whole_seconds_are_digits_alone() {
        assert_eq!(whole_seconds("0060"), Some(Duration::from_secs(60)));
        assert_eq!(whole_seconds(&"9".repeat(30)), Some(Duration::from_secs(u64::MAX)));
        for text in ["", "-1", "+1", "1.5", "1s", " 1", "٣"] {
            assert_eq!(whole_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_json_duration_is_seconds_or_text() {
        let read = |json: &str| serde_json::from_str::<DurationField>(json).map(|d| d.0).ok();
        assert_eq!(read("60"), Some(Duration::from_secs(60)));
        assert_eq!(read("\"1m\""), Some(Duration::from_secs(60)));
        for bad in ["-1", "1.5", "null", "true", "\"\"", "[1]", "18446744073709551615"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
