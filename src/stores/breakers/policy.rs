//! The settings of a breaker as they are stored: `name=number` with spaces between, durations in ms, rates in
//! millionths. What is not set is not there.

use super::types::Policy;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Policy {
    /// The text; see [`Policy::parse`].
    pub(super) fn text(&self) -> String {
        // An open time of nothing could not grow, and a window of nothing holds nothing.
        let positive = |duration| Some(millis(duration).max(1));
        let pairs = [
            ("failure_threshold", self.failure_threshold.map(u64::from)),
            ("success_threshold", Some(self.success_threshold.into())),
            ("timeout", positive(self.timeout)),
            ("multiplier", Some(self.timeout_multiplier_millis.into())),
            ("timeout_max", positive(self.timeout_max.max(self.timeout))),
            ("jitter", Some(self.timeout_jitter_millis.into())),
            ("window", self.window.and_then(positive)),
            ("minimum_calls", Some(self.minimum_calls.into())),
            ("failure_rate", Some(self.failure_rate.into())),
            ("slow_call_duration", self.slow_call_duration.map(millis)),
            ("slow_call_rate", Some(self.slow_call_rate.into())),
            ("permits", Some(self.half_open_permits.into())),
            ("permit_ttl", positive(self.permit_ttl)),
            ("quorum", Some(self.trip_quorum.into())),
        ];
        let mut text = String::with_capacity(256);
        for (name, number) in pairs {
            let Some(number) = number else { continue };
            let space = if text.is_empty() { "" } else { " " };
            let written = write!(text, "{space}{name}={number}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        text
    }

    /// Reads what [`Policy::text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Policy> {
        let number = |wanted: &str| -> Option<u64> {
            let mut pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
        };
        let count = |wanted: &str| u32::try_from(number(wanted)?).ok();
        let time = |wanted: &str| number(wanted).map(Duration::from_millis);
        Some(Policy {
            failure_threshold: count("failure_threshold"),
            success_threshold: count("success_threshold")?,
            timeout: time("timeout")?,
            timeout_multiplier_millis: count("multiplier")?,
            timeout_max: time("timeout_max")?,
            timeout_jitter_millis: count("jitter")?,
            window: time("window"),
            minimum_calls: count("minimum_calls")?,
            failure_rate: count("failure_rate")?,
            slow_call_duration: time("slow_call_duration"),
            slow_call_rate: count("slow_call_rate")?,
            half_open_permits: count("permits")?,
            permit_ttl: time("permit_ttl")?,
            trip_quorum: count("quorum")?,
        })
    }

    /// How long what was counted stays in the window: ten buckets of a tenth each.
    pub(super) fn window_millis(&self) -> Option<u64> {
        self.window.map(|window| self.bucket_millis(window) * 10)
    }

    fn bucket_millis(&self, window: Duration) -> u64 {
        millis(window).div_ceil(10).max(1)
    }

    /// The start of the bucket that this moment falls into.
    pub(super) fn bucket_of(&self, moment: u64) -> u64 {
        self.window.map_or(moment, |window| moment - moment % self.bucket_millis(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::breakers::BreakerSettings;

    #[test]
    fn settings_are_readable_and_read_back() {
        let policy = BreakerSettings::default().policy();
        let text = "failure_threshold=5 success_threshold=2 timeout=30000 multiplier=1000 timeout_max=300000 jitter=0 \
                    minimum_calls=10 failure_rate=500000 slow_call_rate=1000000 permits=1 permit_ttl=30000 quorum=1";
        assert_eq!(policy.text(), text);
        assert_eq!(Policy::parse(text), Some(policy));
        let longest = Duration::from_secs(100 * 365 * 86_400);
        let other = Policy {
            failure_threshold: None,
            window: Some(longest),
            slow_call_duration: Some(Duration::ZERO),
            timeout: longest,
            timeout_max: longest,
            minimum_calls: u32::MAX,
            ..policy
        };
        assert_eq!(Policy::parse(&other.text()), Some(other));
        for bad in ["", "timeout", "timeout=x success_threshold=2"] {
            assert_eq!(Policy::parse(bad), None, "{bad}");
        }
    }
}
