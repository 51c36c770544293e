//! A tenant: whose data it is, whether it may be used, and what is different for it.

use super::change::Change;
use super::overrides::{Limits, LimitsChange, Settings, SettingsChange};
use super::stored;
use crate::base::clock::Timestamp;
use crate::base::object::Object;
use crate::base::text::TenantId;
use crate::db::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Whether a tenant may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its keys work.
    Active,
    /// Its keys are known and refused.
    Suspended,
}

/// A tenant as it is stored and shown. Its JSON is the same in both places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tenant {
    /// Its id, which never changes.
    pub id: TenantId,
    /// What people call it.
    #[serde(default)]
    pub name: Option<Label>,
    /// Whether it may be used.
    pub status: Status,
    /// How much it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How the stores behave for it.
    #[serde(default)]
    pub settings: Settings,
    /// Counts its changes, from 1.
    pub version: u64,
    /// When it was made, by the backend's clock.
    #[serde(deserialize_with = "stored::time")]
    pub created_at: Timestamp,
    /// When it was changed last, by the backend's clock.
    #[serde(deserialize_with = "stored::time")]
    pub updated_at: Timestamp,
}

impl Tenant {
    /// Reads a record. The error quotes nothing of it.
    pub(super) fn read(record: &[u8]) -> Result<Tenant, Error> {
        stored::read(record, "a tenant")
    }
}

/// What a new tenant is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: Option<Label>,
    /// How much it may use.
    pub limits: Limits,
    /// How the stores behave for it.
    pub settings: Settings,
}

impl NewTenant {
    /// An active tenant of this id with nothing special about it.
    pub fn plain(id: TenantId) -> Self {
        NewTenant { id, name: None, limits: Limits::default(), settings: Settings::default() }
    }

    pub(super) fn into_tenant(self, now: Timestamp) -> Tenant {
        let NewTenant { id, name, limits, settings } = self;
        Tenant { id, name, status: Status::Active, limits, settings, version: 1, created_at: now, updated_at: now }
    }
}

/// A change of a tenant: a merge patch, where `null` removes what is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantChange {
    /// What people call it.
    pub name: Change<Label>,
    /// `suspended`: its keys answer 403 within a second, nothing is deleted.
    pub status: Option<Status>,
    /// How much it may use; `null` removes all limits of its own.
    pub limits: Change<Object<LimitsChange>>,
    /// How the stores behave for it; `null` removes all settings of its own.
    pub settings: Change<Object<SettingsChange>>,
}

impl TenantChange {
    /// Changes what a client may change; version and times are the registry's.
    pub(super) fn apply(self, tenant: &mut Tenant) {
        self.name.apply(&mut tenant.name);
        tenant.status = self.status.unwrap_or(tenant.status);
        match self.limits {
            Change::Keep => {}
            Change::Remove => tenant.limits = Limits::default(),
            Change::Set(Object(change)) => change.apply(&mut tenant.limits),
        }
        match self.settings {
            Change::Keep => {}
            Change::Remove => tenant.settings = Settings::default(),
            Change::Set(Object(change)) => change.apply(&mut tenant.settings),
        }
    }
}

/// What people call a tenant or a key: 1 to 256 characters, no control characters. Never part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Label(String);

/// The text is not a label. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 256 characters without control characters")]
pub struct NotALabel;

impl Label {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Label, NotALabel> {
        let fits = (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Label(text.to_owned())) } else { Err(NotALabel) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Label::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Label {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Label".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Tenant {
        NewTenant::plain(TenantId::parse("acme").unwrap()).into_tenant(Timestamp::from_millis(1_769_846_400_000))
    }

    #[test]
    fn a_stored_tenant_is_json_that_a_person_can_read() {
        let text = String::from_utf8(stored::write(&tenant()).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"id":"acme","name":null,"status":"active","limits":{},"settings":{},"version":1,"created_at":"2026-01-31T08:00:00.000Z","updated_at":"2026-01-31T08:00:00.000Z"}"#
        );
        assert_eq!(stored::read::<Tenant>(text.as_bytes(), "").unwrap(), tenant());
    }

    #[test]
    fn a_patch_merges_what_it_names() {
        let mut tenant = tenant();
        let mut patch = |json: &str| {
            serde_json::from_str::<TenantChange>(json).unwrap().apply(&mut tenant);
            tenant.clone()
        };
        let first = patch(r#"{"name":"Acme","limits":{"burst_size":1,"max_in_flight":2},"status":"suspended"}"#);
        assert_eq!((first.name.as_ref().map(Label::as_str), first.status), (Some("Acme"), Status::Suspended));
        let second = patch(r#"{"name":null,"limits":{"burst_size":null},"settings":{"session_ttl":60}}"#);
        assert_eq!((&second.name, second.limits.burst_size, second.limits.max_in_flight), (&None, None, Some(2)));
        assert_eq!(second.status, Status::Suspended, "what is absent stays");
        let third = patch(r#"{"limits":null,"settings":null,"status":"active"}"#);
        assert_eq!(
            (third.limits, third.settings, third.status),
            (Limits::default(), Settings::default(), Status::Active)
        );
    }

    #[test]
    fn a_patch_with_anything_else_is_refused() {
        let long = format!(r#"{{"name":"{}"}}"#, "é".repeat(257));
        for bad in [r#"{"id":"b"}"#, r#"{"status":"gone"}"#, r#"{"name":""}"#, r#"{"name":"a\nb"}"#, &long] {
            assert!(serde_json::from_str::<TenantChange>(bad).is_err(), "{bad}");
        }
        assert!(Label::parse(&"é".repeat(256)).is_ok());
    }
}
