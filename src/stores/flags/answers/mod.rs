//! What answers look like: the shapes of the HTTP API, from which it is described.

pub(super) mod ofrep;

use super::counts::Day;
use super::types::{FlagChange, How, Version, Written};
use crate::base::clock::Timestamp;
use crate::base::text::Name;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A flag in flagd's schema, as it is taken and shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Definition(pub(super) Map<String, Value>);

impl JsonSchema for Definition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FlagDefinition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A flag in flagd's schema",
            "required": ["state", "variants"],
            "additionalProperties": false,
            "properties": {
                "state": {"enum": ["ENABLED", "DISABLED"]},
                "variants": {"type": "object", "minProperties": 1, "description": "Values of one JSON type, by name"},
                "defaultVariant": {"type": ["string", "null"], "description": "Nothing: the code's default is used"},
                "targeting": {"type": ["object", "null"], "description": "JsonLogic with flagd's operators; gives the name of a variant"},
                "metadata": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            },
        })
    }
}

/// A set of flags in flagd's schema, as it is taken and shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Document(pub(super) Map<String, Value>);

impl JsonSchema for Document {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FlagSet".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let flag = generator.subschema_for::<Definition>();
        json_schema!({
            "type": "object",
            "description": "A set of flags in flagd's schema",
            "required": ["flags"],
            "additionalProperties": false,
            "properties": {
                "$schema": {"type": "string"},
                "flags": {"type": "object", "additionalProperties": flag},
                "$evaluators": {"type": "object", "description": "Rules that others refer to with `$ref`, by name"},
                "metadata": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            },
        })
    }
}

/// A flag of the list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FlagAnswer {
    pub(super) key: String,
    /// The version of the set in which it changed last: its entity tag.
    pub(super) version: u64,
    pub(super) definition: Value,
}

/// What became of a flag.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChangeAnswer {
    key: String,
    change: FlagChange,
}

fn changes(flags: BTreeMap<String, FlagChange>) -> Vec<ChangeAnswer> {
    flags.into_iter().map(|(key, change)| ChangeAnswer { key, change }).collect()
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WrittenAnswer {
    /// The version of the set.
    version: u64,
    updated_at: Option<Timestamp>,
    /// What became of flags; empty when all was so already.
    changes: Vec<ChangeAnswer>,
}

impl From<Written> for WrittenAnswer {
    fn from(written: Written) -> Self {
        let Written { set, flags, .. } = written;
        WrittenAnswer { version: set.version, updated_at: set.updated, changes: changes(flags) }
    }
}

/// A version of the set.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionAnswer {
    version: u64,
    created_at: Timestamp,
    /// `admin`, or the id of an API key.
    created_by: String,
    action: How,
    /// The version that was restored, if that was the action.
    restored: Option<u64>,
    changes: Vec<ChangeAnswer>,
    /// Whether anything beside the flags changed: `$evaluators`, `metadata`.
    other_changes: bool,
}

impl From<Version> for VersionAnswer {
    fn from(version: Version) -> Self {
        VersionAnswer {
            version: version.version,
            created_at: version.at,
            created_by: version.by,
            action: version.how,
            restored: version.restored,
            changes: changes(version.flags),
            other_changes: version.rest,
        }
    }
}

/// How often a flag gave what.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatsAnswer {
    key: Name,
    #[serde(flatten)]
    sum: GivenAnswer,
    /// The latest first.
    days: Vec<DayAnswer>,
}

/// How often what was given.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct GivenAnswer {
    /// How often the flag was evaluated.
    total: u64,
    /// How often each variant was given.
    variants: BTreeMap<String, u64>,
    /// How often the code's default was to be used.
    deferred: u64,
    /// How often the evaluation failed.
    failed: u64,
}

/// The same on one day.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DayAnswer {
    /// In UTC: `2026-01-31`.
    date: String,
    #[serde(flatten)]
    given: GivenAnswer,
}

impl GivenAnswer {
    fn add(&mut self, day: &Day) {
        for (variant, count) in &day.variants {
            *self.variants.entry(variant.clone()).or_default() += count;
            self.total += count;
        }
        self.deferred += day.deferred;
        self.failed += day.failed;
        self.total += day.deferred + day.failed;
    }
}

impl StatsAnswer {
    pub(super) fn new(key: Name, days: Vec<Day>) -> StatsAnswer {
        let mut sum = GivenAnswer::default();
        let shown = days.into_iter().map(|day| {
            let mut given = GivenAnswer::default();
            given.add(&day);
            sum.add(&day);
            DayAnswer { date: day.date, given }
        });
        let days = shown.collect();
        StatsAnswer { key, sum, days }
    }
}
