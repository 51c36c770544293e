//! What a flag is made of: each member checked, the rule compiled.

use super::engine::Compiled;
use super::fault::{At, Faults, quoted};
use super::flag::{Flag, Rule, State, Variant};
use super::rule::{MOST_NODES, Pass};
use super::ruleset::check_metadata;
use serde_json::{Map, Number, Value};
use std::sync::Arc;

/// What a flag may have.
const MEMBERS: &[&str] = &["state", "variants", "defaultVariant", "targeting", "metadata"];
/// The most nodes of all rules of a document, references resolved: each takes a hundred bytes or two.
const MOST_NODES_OF_ALL: usize = 250_000;
/// The largest whole number that every client reads exactly.
const LARGEST_SAFE: u64 = (1 << 53) - 1;

/// What the flags of a document share while they are compiled.
pub(super) struct Definitions<'d> {
    evaluators: &'d Map<String, Value>,
    shared: &'d Arc<Map<String, Value>>,
    metadata: &'d Map<String, Value>,
    nodes_left: usize,
}

impl<'d> Definitions<'d> {
    pub(super) fn new(
        evaluators: &'d Map<String, Value>,
        shared: &'d Arc<Map<String, Value>>,
        metadata: &'d Map<String, Value>,
    ) -> Definitions<'d> {
        Definitions { evaluators, shared, metadata, nodes_left: MOST_NODES_OF_ALL }
    }

    /// Checks the evaluators by themselves, so that the faults of one that many flags refer to are told once.
    pub(super) fn check_evaluators(&mut self, at: &At<'_>, faults: &mut Faults) {
        for (name, rule) in self.evaluators {
            let at = At::Member(at, name);
            if faults.is_full() {
                return;
            }
            if !rule.is_object() {
                faults.push(&at, "must be a rule, which is an object");
                continue;
            }
            let mut pass = Pass::new(self.evaluators, "", faults);
            pass.evaluator(name, rule, &at);
        }
    }

    /// The flag, or none where there are faults.
    pub(super) fn flag(&mut self, key: &'d str, written: &'d Value, at: &At<'_>, faults: &mut Faults) -> Option<Flag> {
        let Value::Object(members) = written else {
            faults.push(at, "must be an object");
            return None;
        };
        for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
            faults.push(&At::Member(at, name), "is not known here");
        }
        let state = match members.get("state").map(Value::as_str) {
            Some(Some("ENABLED")) => Some(State::Enabled),
            Some(Some("DISABLED")) => Some(State::Disabled),
            found => {
                let detail = if found.is_some() { "must be ENABLED or DISABLED" } else { "is missing" };
                faults.push(&At::Member(at, "state"), detail);
                None
            }
        };
        let metadata = self.metadata_of(members, at, faults);
        let named = variants_of(members, &At::Member(at, "variants"), faults)?;
        let variants = normalised(named);
        let default = match members.get("defaultVariant") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if named.contains_key(name) => {
                variants.iter().position(|variant| variant.name() == name)
            }
            Some(Value::String(name)) => {
                faults.push(&At::Member(at, "defaultVariant"), format!("there is no variant {}", quoted(name)));
                None
            }
            Some(_) => {
                faults.push(&At::Member(at, "defaultVariant"), "must be the name of a variant, or null");
                None
            }
        };
        let rule = self.rule(key, members.get("targeting"), named, &At::Member(at, "targeting"), faults);
        Some(Flag { key: key.into(), state: state?, variants, default, metadata, rule })
    }

    fn metadata_of(&self, members: &Map<String, Value>, at: &At<'_>, faults: &mut Faults) -> Map<String, Value> {
        let mut metadata = self.metadata.clone();
        match members.get("metadata") {
            None => {}
            Some(Value::Object(own)) => {
                check_metadata(own, &At::Member(at, "metadata"), faults);
                metadata.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            Some(_) => faults.push(&At::Member(at, "metadata"), "must be an object"),
        }
        metadata
    }

    fn rule(
        &mut self,
        key: &'d str,
        written: Option<&'d Value>,
        variants: &'d Map<String, Value>,
        at: &At<'_>,
        faults: &mut Faults,
    ) -> Option<Rule> {
        let written = match written {
            None | Some(Value::Null) => return None,
            Some(Value::Object(members)) if members.is_empty() => return None,
            Some(rule @ Value::Object(_)) => rule,
            Some(_) => {
                faults.push(at, "must be a rule, which is an object");
                return None;
            }
        };
        if self.nodes_left == 0 {
            faults.push(at, format!("the rules of the document have more than {MOST_NODES_OF_ALL} nodes together"));
            return None;
        }
        let mut pass = Pass::new(self.evaluators, key, faults);
        (pass.variants, pass.most) = (Some(variants), MOST_NODES.min(self.nodes_left));
        let expression = pass.expression(written, at);
        let (nodes, reads_clock, reads) = (pass.nodes, pass.reads_clock, pass.reads);
        self.nodes_left = self.nodes_left.saturating_sub(nodes);
        if !faults.is_empty() {
            return None;
        }
        let Some(compiled) = Compiled::new(expression, nodes) else {
            faults.push(at, "cannot be compiled");
            return None;
        };
        Some(Rule { compiled, written: written.clone(), evaluators: Arc::clone(self.shared), reads_clock, reads })
    }
}

/// The variants by name, if there are some and all are of one type.
fn variants_of<'d>(
    members: &'d Map<String, Value>,
    at: &At<'_>,
    faults: &mut Faults,
) -> Option<&'d Map<String, Value>> {
    let variants = match members.get("variants") {
        Some(Value::Object(variants)) if !variants.is_empty() => variants,
        found => {
            let detail = if found.is_some() { "must be an object with at least one variant" } else { "is missing" };
            faults.push(at, detail);
            return None;
        }
    };
    let first = variants.values().next().map(std::mem::discriminant);
    for (name, value) in variants {
        let at = At::Member(at, name);
        if name.is_empty() {
            faults.push(&at, "must have a name");
        }
        match value {
            Value::Null | Value::Array(_) => faults.push(&at, "must be a boolean, a text, a number or an object"),
            value if Some(std::mem::discriminant(value)) != first => {
                faults.push(&at, "must be of the same type as the other variants");
            }
            Value::Number(number) if !is_safe(number) => {
                faults.push(&at, "is too large to be exact: whole numbers go to 9007199254740991");
            }
            _ => {}
        }
    }
    Some(variants)
}

fn is_safe(number: &Number) -> bool {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => number.unsigned_abs() <= LARGEST_SAFE,
        (None, whole) => whole.is_none(),
    }
}

/// The variants in the order of their names. If one number has a fraction all are written with one, because some
/// clients take the type of a flag from how its number is written.
fn normalised(named: &Map<String, Value>) -> Box<[Variant]> {
    let floats = named.values().any(Value::is_f64);
    let value_of = |value: &Value| match value.as_f64().and_then(Number::from_f64) {
        Some(float) if floats => Value::Number(float),
        _ => value.clone(),
    };
    let mut sorted: Vec<_> = named.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let variants = sorted.into_iter().enumerate();
    variants.map(|(index, (name, value))| Variant::new(name, value_of(value), index)).collect()
}
