//! A flag as it was written, ready to be decided.

use super::context::Context;
use super::engine::Compiled;
use super::failure::Failure;
use datalogic_rs::DataValue;
use datalogic_rs::datavalue::NumberValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Whether a flag's rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Enabled,
    /// Everybody gets the default variant.
    Disabled,
}

/// One of the values that a flag can have.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    name: Box<str>,
    value: Value,
    index: usize,
}

impl Variant {
    pub(super) fn new(name: &str, value: Value, index: usize) -> Variant {
        Variant { name: name.into(), value, index }
    }

    /// What rules call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value. Of a flag that has a number with a fraction, all are written as such: `1.0`.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its place in [`Flag::variants`], from 0.
    pub fn index(&self) -> usize {
        self.index
    }
}

/// What a flag is for somebody, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'r> {
    /// None where the flag leaves it to the default in the client's code.
    pub variant: Option<&'r Variant>,
    /// Why it is this one.
    pub reason: Reason,
}

/// Why a flag has the value that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// It has no rule: everybody gets this.
    Static,
    /// Its rule chose.
    TargetingMatch,
    /// Its rule chose nothing, or it leaves the value to the client.
    Default,
    /// It is off.
    Disabled,
}

impl Reason {
    /// Its name in OFREP.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Static => "STATIC",
            Reason::TargetingMatch => "TARGETING_MATCH",
            Reason::Default => "DEFAULT",
            Reason::Disabled => "DISABLED",
        }
    }
}

/// A flag's rule: what is run, and what it was written as, from which it is explained.
pub(super) struct Rule {
    pub compiled: Compiled,
    pub written: Value,
    pub evaluators: Arc<Map<String, Value>>,
    pub reads_clock: bool,
    /// The members of the context that it looks at; none where that may be any.
    pub reads: Option<Vec<Box<str>>>,
}

/// A flag: its variants, and the rule that chooses among them. Made by [`Ruleset::compile`](super::Ruleset::compile).
pub struct Flag {
    pub(super) key: Box<str>,
    pub(super) state: State,
    /// In the order of their names.
    pub(super) variants: Box<[Variant]>,
    pub(super) default: Option<usize>,
    pub(super) metadata: Map<String, Value>,
    pub(super) rule: Option<Rule>,
}

impl Flag {
    /// What clients call it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether its rule is asked.
    pub fn state(&self) -> State {
        self.state
    }

    /// The set's metadata and the flag's own over it: booleans, texts and numbers.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Its variants in the order of their names.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// Whether deciding it looks at the context at all: a flag that is off, or has no rule, is the same for everybody.
    pub fn reads_context(&self) -> bool {
        self.asked_rule().is_some()
    }

    /// The members of a context that deciding it may look at; none where that may be any.
    pub fn reads(&self) -> Option<&[Box<str>]> {
        self.asked_rule().map_or(Some(&[]), |rule| rule.reads.as_deref())
    }

    /// Whether the time can change it: its rule looks at `$flagd.timestamp`, or may, by a path that it computes.
    pub fn reads_clock(&self) -> bool {
        self.asked_rule().is_some_and(|rule| rule.reads_clock)
    }

    /// The rule, unless the flag is off.
    pub(super) fn asked_rule(&self) -> Option<&Rule> {
        self.rule.as_ref().filter(|_| self.state == State::Enabled)
    }

    /// What the flag is for this context at `now` (unix seconds).
    ///
    /// # Errors
    /// The rule needs a targeting key and there is none, gives something that is no variant, or would do too much work.
    pub fn evaluate<'r>(&'r self, context: &Context<'_>, now: u64) -> Result<Decision<'r>, Failure> {
        match self.asked_rule() {
            Some(rule) => rule.compiled.run(context, now, |result| self.decide(result)),
            None if self.state == State::Disabled => Ok(self.by_default(Reason::Disabled)),
            None if self.default.is_none() => Ok(self.by_default(Reason::Default)),
            None => Ok(self.by_default(Reason::Static)),
        }
    }

    fn by_default(&self, reason: Reason) -> Decision<'_> {
        Decision { variant: self.default.and_then(|default| self.variants.get(default)), reason }
    }

    /// What a result of the rule means. An unknown name is never taken for the default: it would hide a mistake.
    fn decide(&self, result: &DataValue<'_>) -> Result<Decision<'_>, Failure> {
        let named = |name: &str| match self.variant(name) {
            Some(variant) => Ok(Decision { variant: Some(variant), reason: Reason::TargetingMatch }),
            None => Err(Failure::General(Cow::Borrowed("the rule gives something that is the name of no variant"))),
        };
        match result {
            DataValue::Null => Ok(self.by_default(Reason::Default)),
            DataValue::String(name) => named(name),
            DataValue::Bool(true) => named("true"),
            DataValue::Bool(false) => named("false"),
            DataValue::Number(NumberValue::Integer(number)) => named(&number.to_string()),
            DataValue::Number(NumberValue::Float(number)) if number.is_finite() => named(&number.to_string()),
            DataValue::Number(_) => Err(Failure::General(Cow::Borrowed("the rule computes a number that is none"))),
            DataValue::Array(_) => {
                Err(Failure::General(Cow::Borrowed("the rule gives a list, which names no variant")))
            }
            DataValue::Object(_) => {
                Err(Failure::General(Cow::Borrowed("the rule gives an object, which names no variant")))
            }
        }
    }

    fn variant(&self, name: &str) -> Option<&Variant> {
        let found = self.variants.binary_search_by(|variant| variant.name.as_ref().cmp(name)).ok()?;
        self.variants.get(found)
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag").field("key", &self.key).field("state", &self.state).finish_non_exhaustive()
    }
}
