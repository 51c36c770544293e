//! A document of flags, checked and compiled as a whole: it is good, or every fault is told.

use super::definition::Definitions;
use super::fault::{At, Fault, Faults, quoted};
use super::flag::Flag;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The most flags in a document, and the most evaluators.
const MOST: usize = 2_000;
/// The longest key of a flag or an evaluator, in bytes.
const LONGEST_KEY: usize = 256;
/// What a document may have.
const MEMBERS: &[&str] = &["flags", "$evaluators", "metadata", "$schema"];

/// The flags of a document. Does not change, and is shared between threads.
pub struct Ruleset {
    /// In the order of their keys.
    flags: Box<[Flag]>,
    places: HashMap<Box<str>, usize>,
}

impl Ruleset {
    /// Checks and compiles a document `{"flags": {…}, "$evaluators"?: {…}, "metadata"?: {…}, "$schema"?: "…"}`.
    ///
    /// # Errors
    /// All that is wrong with it, up to a hundred faults.
    pub fn compile(document: &Map<String, Value>) -> Result<Ruleset, Vec<Fault>> {
        let (mut faults, root) = (Faults::default(), At::Document);
        for name in document.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            faults.push(&At::Member(&root, name), "is not known here");
        }
        if document.get("$schema").is_some_and(|schema| !schema.is_string()) {
            faults.push(&At::Member(&root, "$schema"), "must be a text");
        }
        let nothing = Map::new();
        let flags = object(document, "flags", &root, &nothing, &mut faults);
        if !document.contains_key("flags") {
            faults.push(&At::Member(&root, "flags"), "is missing");
        }
        let evaluators = object(document, "$evaluators", &root, &nothing, &mut faults);
        let metadata = object(document, "metadata", &root, &nothing, &mut faults);
        check_metadata(metadata, &At::Member(&root, "metadata"), &mut faults);
        for name in ["flagSetId", "version"] {
            if metadata.get(name).is_some_and(|value| !value.is_string()) {
                faults.push(&At::Member(&At::Member(&root, "metadata"), name), "must be a text");
            }
        }
        check_keys(flags, &At::Member(&root, "flags"), &mut faults);
        check_keys(evaluators, &At::Member(&root, "$evaluators"), &mut faults);
        let shared = Arc::new(evaluators.clone());
        let mut definitions = Definitions::new(evaluators, &shared, metadata);
        definitions.check_evaluators(&At::Member(&root, "$evaluators"), &mut faults);
        let at = At::Member(&root, "flags");
        let mut compiled = Vec::with_capacity(flags.len());
        for (key, written) in flags {
            if faults.is_full() {
                break;
            }
            compiled.extend(definitions.flag(key, written, &At::Member(&at, key), &mut faults));
        }
        faults.into_result(Ruleset::of(compiled))
    }

    fn of(mut flags: Vec<Flag>) -> Ruleset {
        flags.sort_by(|left, right| left.key.cmp(&right.key));
        let places = flags.iter().enumerate().map(|(place, flag)| (flag.key.clone(), place)).collect();
        Ruleset { flags: flags.into(), places }
    }

    /// The flag of that key.
    pub fn flag(&self, key: &str) -> Option<&Flag> {
        self.find(key).map(|(_, flag)| flag)
    }

    /// The flag of that key, and its place in [`Ruleset::flags`], from 0.
    pub fn find(&self, key: &str) -> Option<(usize, &Flag)> {
        let place = *self.places.get(key)?;
        self.flags.get(place).map(|flag| (place, flag))
    }

    /// All flags in the order of their keys.
    pub fn flags(&self) -> impl ExactSizeIterator<Item = &Flag> {
        self.flags.iter()
    }
}

/// A member of the document that is an object, or an empty one.
fn object<'d>(
    document: &'d Map<String, Value>,
    name: &str,
    root: &At<'_>,
    nothing: &'d Map<String, Value>,
    faults: &mut Faults,
) -> &'d Map<String, Value> {
    match document.get(name) {
        None => nothing,
        Some(Value::Object(members)) => members,
        Some(_) => {
            faults.push(&At::Member(root, name), "must be an object");
            nothing
        }
    }
}

fn check_keys(named: &Map<String, Value>, at: &At<'_>, faults: &mut Faults) {
    if named.len() > MOST {
        faults.push(at, format!("has more than {MOST} members"));
    }
    for key in named.keys() {
        if !(1..=LONGEST_KEY).contains(&key.len()) || key.chars().any(char::is_control) {
            let detail = format!("{} must be 1 to {LONGEST_KEY} bytes without control characters", quoted(key));
            faults.push(&At::Member(at, key), detail);
        }
    }
}

/// Metadata reaches clients in a form in which nothing nests.
pub(super) fn check_metadata(metadata: &Map<String, Value>, at: &At<'_>, faults: &mut Faults) {
    for (name, value) in metadata {
        if !matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_)) {
            faults.push(&At::Member(at, name), "must be a boolean, a number or a text");
        }
    }
}

impl fmt::Debug for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruleset").field("flags", &self.flags.len()).finish_non_exhaustive()
    }
}
