//! A set of flags as it is evaluated: the compiled rules, what answers are made of, and how often each variant was given.

use super::answers::ofrep::Shape;
use super::counts::Counts;
use super::reasons::Reasons;
use super::rules::{Decision, Fault, Flag, Ruleset};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One version of a tenant's flags, ready to be asked. Never changes.
pub struct Compiled {
    /// The version of the set; 0 where there is none.
    pub version: u64,
    /// What tells this configuration from every other, and is safe in a header, a URL and a log.
    pub id: String,
    /// The rules.
    pub rules: Ruleset,
    /// What is said of each flag, by its index.
    pub(super) shapes: Vec<Shape>,
    /// The members of the set's metadata, as JSON without the braces.
    pub(super) metadata: String,
    /// Whether any rule reads the clock.
    pub(super) reads_clock: bool,
    /// About how long the evaluation of all flags is, in bytes.
    pub(super) length: usize,
    /// How often each variant was given.
    pub(super) counts: Arc<Counts>,
    /// Why flags gave what they gave, of all tenants together.
    pub(super) reasons: Arc<Reasons>,
    /// About how much memory it takes, in bytes.
    pub(super) weight: usize,
}

impl Compiled {
    /// Compiles a document; `digest` tells it from every other. May take tens of milliseconds.
    pub fn new(version: u64, digest: &str, document: &Map<String, Value>, size: usize) -> Result<Compiled, Vec<Fault>> {
        let rules = Ruleset::compile(document)?;
        let shapes: Vec<Shape> = rules.flags().map(Shape::of).collect();
        let reads_clock = rules.flags().any(Flag::reads_clock);
        let metadata = document.get("metadata").and_then(Value::as_object).map(super::answers::ofrep::members);
        Ok(Compiled {
            version,
            id: Compiled::named(&version.to_string(), digest),
            length: 1024 + shapes.iter().map(Shape::length).sum::<usize>(),
            shapes,
            metadata: metadata.unwrap_or_default(),
            reads_clock,
            counts: Arc::new(Counts::of(&rules)),
            reasons: Arc::default(),
            // Compiled rules are some ten times as large as their text.
            weight: 1000 + 10 * size,
            rules,
        })
    }
    /// The [`id`](Compiled::id) of a version with this digest.
    pub(super) fn named(version: &str, digest: &str) -> String {
        let version = if version.is_empty() { "0" } else { version };
        format!("{version}-{}", digest.chars().take(16).collect::<String>())
    }

    /// The flag of this index gave a variant, or left it to the code.
    pub fn given(&self, flag: usize, decision: &Decision<'_>) {
        self.reasons.given(decision.reason);
        self.counts.given(flag, decision.variant);
    }

    /// The evaluation of the flag of this index failed.
    pub fn failed(&self, flag: usize) {
        self.reasons.failed();
        self.counts.failed(flag);
    }
}
