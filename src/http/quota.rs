//! What a client is told of its quota: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10), which are Lists of Strings with parameters (RFC 9651), and, where that is
//! wanted, the three older `X-RateLimit-*` fields.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef};
use std::borrow::Cow;
use std::time::Duration;

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const OLD_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const OLD_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const OLD_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// A quota and how much of it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaStanding {
    /// What the policy is called. Characters that a String cannot hold are percent-encoded.
    pub policy: Cow<'static, str>,
    /// Units in a window.
    pub limit: u64,
    /// How long that is.
    pub window: Duration,
    /// Units that are left.
    pub remaining: u64,
    /// Until there are more.
    pub reset: Duration,
}

/// Writes the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaFields {
    /// Whether the older ones go with them. They tell of the quota of which the least is left.
    pub legacy: bool,
}

impl QuotaFields {
    /// Sets the fields for these quotas, over those that are there. A quota that no field can tell is left out.
    pub fn write(self, quotas: &[QuotaStanding], headers: &mut HeaderMap) {
        let (mut policies, mut standings) = (ListSerializer::new(), ListSerializer::new());
        for quota in quotas {
            let name = encoded(&quota.policy);
            let (Ok(name), Ok(limit), Ok(remaining)) = (
                StringRef::from_str(&name),
                sfv::Integer::try_from(quota.limit),
                sfv::Integer::try_from(quota.remaining),
            ) else {
                continue;
            };
            let seconds = |time| sfv::Integer::try_from(whole_seconds(time)).unwrap_or(sfv::Integer::MAX);
            let window = seconds(quota.window.max(Duration::from_secs(1)));
            // Each gives back the text so far, which is taken at the end.
            _ = policies.bare_item(name).parameter(key("q"), limit).parameter(key("w"), window).finish();
            let standing = standings.bare_item(name).parameter(key("r"), remaining);
            _ = standing.parameter(key("t"), seconds(quota.reset)).finish();
        }
        let mut set = |name: HeaderName, value: Option<String>| {
            if let Some(value) = value.and_then(|text| HeaderValue::from_maybe_shared(text).ok()) {
                headers.insert(name, value);
            }
        };
        set(POLICY, policies.finish());
        set(STANDING, standings.finish());
        if let (true, Some(least)) = (self.legacy, quotas.iter().min_by_key(|quota| quota.remaining)) {
            set(OLD_LIMIT, Some(least.limit.to_string()));
            set(OLD_REMAINING, Some(least.remaining.to_string()));
            set(OLD_RESET, Some(whole_seconds(least.reset).to_string()));
        }
    }
}

/// Whole seconds, rounded up: whoever waits so long does not come too early.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn key(name: &'static str) -> &'static KeyRef {
    KeyRef::constant(name)
}

/// A String holds printable ASCII (RFC 9651, section 3.3.3).
pub(super) fn encoded(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(name);
    }
    percent_encoding::utf8_percent_encode(name, percent_encoding::CONTROLS).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(policy: &'static str, limit: u64, window: u64, remaining: u64, reset_millis: u64) -> QuotaStanding {
        let (window, reset) = (Duration::from_secs(window), Duration::from_millis(reset_millis));
        QuotaStanding { policy: policy.into(), limit, window, remaining, reset }
    }

    fn written(legacy: bool, quotas: &[QuotaStanding]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        QuotaFields { legacy }.write(quotas, &mut headers);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        all.sort();
        all
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_fields_are_lists_of_strings_with_whole_seconds_rounded_up() {
        let quotas = [quota("burst", 100, 60, 42, 16_001), quota("daily", 1000, 86_400, 900, 51_234_000)];
        let expected = [
            ("ratelimit", r#""burst";r=42;t=17, "daily";r=900;t=51234"#),
            ("ratelimit-policy", r#""burst";q=100;w=60, "daily";q=1000;w=86400"#),
        ];
        assert_eq!(written(false, &quotas), pairs(&expected));
    }

    #[test]
    fn the_older_fields_come_on_request_and_tell_of_the_scarcest() {
        let expected = [
            ("ratelimit", r#""a";r=5;t=1, "b";r=2;t=9"#),
            ("ratelimit-policy", r#""a";q=10;w=1, "b";q=20;w=60"#),
            ("x-ratelimit-limit", "20"),
            ("x-ratelimit-remaining", "2"),
            ("x-ratelimit-reset", "9"),
        ];
        assert_eq!(written(true, &[quota("a", 10, 1, 5, 1), quota("b", 20, 60, 2, 9_000)]), pairs(&expected));
    }

    #[test]
    fn any_name_becomes_a_string_and_a_window_below_a_second_a_second() {
        let mut quota = quota("a\"b\\é", 1, 0, 0, 0);
        quota.window = Duration::from_millis(1);
        let expected = [("ratelimit", r#""a\"b\\%C3%A9";r=0;t=0"#), ("ratelimit-policy", r#""a\"b\\%C3%A9";q=1;w=1"#)];
        assert_eq!(written(false, &[quota]), pairs(&expected));
        assert_eq!(written(true, &[]), pairs(&[]));
    }
}
