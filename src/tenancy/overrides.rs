//! What may be different for one tenant: limits and settings that stand in for the server's own. Each is
//! optional; without it the server's default holds.

use super::change::Change;
use crate::base::duration::DurationField;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::num::NonZeroU32;
use std::time::Duration;

/// How much one tenant may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Requests a minute for each of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Requests beyond that in a burst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_size: Option<u32>,
    /// Live sessions of one user; 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_sessions_per_user: Option<u32>,
    /// Requests that may be in flight at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

/// Limits in a request: a merge patch, where `null` removes one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsChange {
    /// Requests a minute for each key of the tenant, at least 1.
    pub requests_per_minute: Change<NonZeroU32>,
    /// Requests beyond that in a burst.
    pub burst_size: Change<u32>,
    /// Live sessions of one user; 0 for no limit.
    pub max_sessions_per_user: Change<u32>,
    /// Requests of the tenant that may be in flight at one time, at least 1.
    pub max_in_flight: Change<NonZeroU32>,
}

impl LimitsChange {
    /// Changes the limits.
    pub fn apply(self, limits: &mut Limits) {
        self.requests_per_minute.apply_as(&mut limits.requests_per_minute, NonZeroU32::get);
        self.burst_size.apply(&mut limits.burst_size);
        self.max_sessions_per_user.apply(&mut limits.max_sessions_per_user);
        self.max_in_flight.apply_as(&mut limits.max_in_flight, NonZeroU32::get);
    }
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionTtlPolicy {
    /// Always the same time after the last use.
    Fixed,
    /// The longer, the more recently it was used.
    Adaptive,
}

/// What happens when a user has too many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionLimitPolicy {
    /// The oldest one ends.
    EvictOldest,
    /// The new one is refused.
    Reject,
}

/// How the stores behave for one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// The default lifetime of a session. As JSON a number of seconds.
    #[serde(skip_serializing_if = "Option::is_none", with = "seconds")]
    #[schemars(with = "Option<f64>")]
    pub session_ttl: Option<Duration>,
    /// How the lifetime is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ttl_policy: Option<SessionTtlPolicy>,
    /// What happens over `max_sessions_per_user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_limit_policy: Option<SessionLimitPolicy>,
}

/// Settings in a request: a merge patch, where `null` removes one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// The default lifetime of a session, at least 1 s.
    pub session_ttl: Change<SessionTtl>,
    /// How the lifetime of a session is chosen.
    pub session_ttl_policy: Change<SessionTtlPolicy>,
    /// What happens when a user has more sessions than `max_sessions_per_user`.
    pub session_limit_policy: Change<SessionLimitPolicy>,
}

impl SettingsChange {
    /// Changes the settings.
    pub fn apply(self, settings: &mut Settings) {
        self.session_ttl.apply_as(&mut settings.session_ttl, |ttl| ttl.0);
        self.session_ttl_policy.apply(&mut settings.session_ttl_policy);
        self.session_limit_policy.apply(&mut settings.session_limit_policy);
    }
}

/// A lifetime of at least a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTtl(Duration);

impl<'de> Deserialize<'de> for SessionTtl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DurationField(ttl) = DurationField::deserialize(deserializer)?;
        if ttl < Duration::from_secs(1) {
            return Err(serde::de::Error::custom("must be at least 1s"));
        }
        Ok(SessionTtl(ttl))
    }
}

impl JsonSchema for SessionTtl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        DurationField::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        DurationField::json_schema(generator)
    }
}

/// A duration as a number of seconds, with a fraction only where it has one.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            None => serializer.serialize_none(),
            Some(time) if time.subsec_nanos() == 0 => serializer.serialize_u64(time.as_secs()),
            Some(time) => serializer.serialize_f64(time.as_secs_f64()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let Some(seconds) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
        let time = Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)?;
        let millis = u64::try_from((time + Duration::from_micros(500)).as_millis()).unwrap_or(u64::MAX);
        Ok(Some(Duration::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_sets_removes_and_keeps() {
        let mut limits = Limits { requests_per_minute: Some(60), burst_size: Some(5), ..Limits::default() };
        let change: LimitsChange = serde_json::from_str(r#"{"burst_size":null,"max_in_flight":8}"#).unwrap();
        change.apply(&mut limits);
        assert_eq!(limits, Limits { requests_per_minute: Some(60), max_in_flight: Some(8), ..Limits::default() });
    }

    #[test]
    fn settings_take_durations_as_people_write_them_and_are_stored_in_seconds() {
        let mut settings = Settings::default();
        for (ttl, stored) in [(r#""15m""#, "900"), ("60", "60"), (r#""1500ms""#, "1.5"), (r#""36500d""#, "3153600000")]
        {
            let text = format!(r#"{{"session_ttl":{ttl},"session_ttl_policy":"adaptive"}}"#);
            serde_json::from_str::<SettingsChange>(&text).unwrap().apply(&mut settings);
            let written = serde_json::to_string(&settings).unwrap();
            assert_eq!(written, format!(r#"{{"session_ttl":{stored},"session_ttl_policy":"adaptive"}}"#));
            assert_eq!(serde_json::from_str::<Settings>(&written).unwrap(), settings);
        }
    }

    #[test]
    fn requests_are_strict_and_stored_records_are_not() {
        for bad in
            [r#"{"burst":1}"#, r#"{"requests_per_minute":0}"#, r#"{"max_in_flight":-1}"#, r#"{"burst_size":1.5}"#]
        {
            assert!(serde_json::from_str::<LimitsChange>(bad).is_err(), "{bad}");
        }
        for bad in
            [r#"{"session_ttl":0}"#, r#"{"session_ttl":"999ms"}"#, r#"{"session_limit_policy":"drop"}"#, r#"{"a":1}"#]
        {
            assert!(serde_json::from_str::<SettingsChange>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Limits>(r#"{"later":1}"#).unwrap(), Limits::default());
        assert_eq!(serde_json::from_str::<Settings>(r#"{"later":1}"#).unwrap(), Settings::default());
    }
}
