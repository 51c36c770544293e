//! The operators of rules, one table: what each is called, how many arguments it takes, and how the engine is to do it.
//! Most are done here and not by the engine: its own coerce otherwise than JsonLogic, and cost whatever the context makes
//! them cost.

mod arrays;
mod comparison;
mod lookup;
mod numbers;
mod split;
mod texts;
mod version;

pub(super) use lookup::{FLAG_KEY, TIMESTAMP};
pub(super) use split::{HEAVIEST, TARGETING_KEY};
pub(super) use version::RELATIONS;

use datalogic_rs::bumpalo::Bump;
use datalogic_rs::operator::EvalContext;
use datalogic_rs::{CustomOperator, DataValue, Result};

/// What an operator is called with: its arguments, evaluated, the context, and memory for its answer.
#[derive(Clone, Copy)]
pub(super) struct Call<'x, 'a> {
    arguments: &'x [&'a DataValue<'a>],
    context: &'a DataValue<'a>,
    arena: &'a Bump,
}

impl<'a> Call<'_, 'a> {
    /// An argument; one that is not there is null.
    fn argument(&self, at: usize) -> &'a DataValue<'a> {
        self.arguments.get(at).copied().unwrap_or(&DataValue::Null)
    }
}

type Answer<'a> = Result<&'a DataValue<'a>>;
type Function = for<'x, 'a> fn(Call<'x, 'a>) -> Answer<'a>;

/// How the engine does an operator.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// By itself, under the same name.
    Engine,
    /// By a function of ours, which gets the arguments evaluated.
    Ours(Function),
    /// A member of the context, by its path.
    Variable,
    /// Names that the context does not have.
    Missing,
    /// A pass over an array with a rule for each element.
    Iteration,
    /// A pass over an array that adds up.
    Reduction,
    /// A choice by weights.
    Fractional,
    /// A comparison of versions.
    Version,
    /// A rule of `$evaluators`.
    Reference,
}

/// An operator of the rule language.
pub(super) struct Operator {
    pub name: &'static str,
    pub least: usize,
    pub most: usize,
    pub form: Form,
}

const ANY: usize = usize::MAX;

const fn operator(name: &'static str, least: usize, most: usize, form: Form) -> Operator {
    Operator { name, least, most, form }
}

/// All of them. Beyond JsonLogic's are those of flagd.
static OPERATORS: &[Operator] = &[
    operator("var", 0, 2, Form::Variable),
    operator("missing", 0, ANY, Form::Missing),
    operator("missing_some", 2, 2, Form::Missing),
    operator("if", 1, ANY, Form::Engine),
    operator("?:", 3, 3, Form::Engine),
    operator("and", 1, ANY, Form::Engine),
    operator("or", 1, ANY, Form::Engine),
    operator("!", 1, 1, Form::Engine),
    operator("!!", 1, 1, Form::Engine),
    operator("==", 2, 2, Form::Ours(comparison::equal)),
    operator("!=", 2, 2, Form::Ours(comparison::not_equal)),
    operator("===", 2, 2, Form::Ours(comparison::same)),
    operator("!==", 2, 2, Form::Ours(comparison::not_same)),
    operator("<", 2, 3, Form::Ours(comparison::less)),
    operator("<=", 2, 3, Form::Ours(comparison::at_most)),
    operator(">", 2, 2, Form::Ours(comparison::greater)),
    operator(">=", 2, 2, Form::Ours(comparison::at_least)),
    operator("+", 1, ANY, Form::Ours(numbers::add)),
    operator("*", 1, ANY, Form::Ours(numbers::multiply)),
    operator("-", 1, 2, Form::Ours(numbers::subtract)),
    operator("/", 2, 2, Form::Ours(numbers::divide)),
    operator("%", 2, 2, Form::Ours(numbers::remainder)),
    operator("max", 1, ANY, Form::Ours(numbers::largest)),
    operator("min", 1, ANY, Form::Ours(numbers::smallest)),
    operator("in", 2, 2, Form::Ours(arrays::contains)),
    operator("merge", 0, ANY, Form::Ours(arrays::merge)),
    operator("cat", 1, ANY, Form::Ours(texts::concatenate)),
    operator("substr", 2, 3, Form::Ours(texts::substring)),
    operator("map", 2, 2, Form::Iteration),
    operator("filter", 2, 2, Form::Iteration),
    operator("all", 2, 2, Form::Iteration),
    operator("none", 2, 2, Form::Iteration),
    operator("some", 2, 2, Form::Iteration),
    operator("reduce", 2, 3, Form::Reduction),
    operator("starts_with", 2, 2, Form::Ours(texts::starts_with)),
    operator("ends_with", 2, 2, Form::Ours(texts::ends_with)),
    operator("sem_ver", 3, 3, Form::Version),
    operator("fractional", 1, ANY, Form::Fractional),
    operator("$ref", 1, 1, Form::Reference),
];

/// The operator of that name.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == name)
}

/// Whether a text is a version.
pub(super) fn is_version(text: &str) -> bool {
    version::parse(text).is_some()
}

/// What a function of ours is called in the engine, where it must not be called as one of the engine's own.
pub(super) fn engine_name(name: &str) -> String {
    format!("our {name}")
}

/// Functions that rules cannot name: what operators are made of.
pub(super) mod part {
    /// A `fractional` that tells all about the choice.
    pub const BUCKET: &str = "bucket";
    /// A path that is only known when it is evaluated: the flag's key, where to look, the path, what to give instead.
    pub const LOOKUP: &str = "lookup";
    /// The time of the evaluation in unix seconds.
    pub const TIME: &str = "time";
    /// The array that an iteration runs over, or an empty one.
    pub const ELEMENTS: &str = "elements";
    /// Pays for a step of an iteration: its result, and how many nodes it has.
    pub const STEP: &str = "step";
    /// What a whole `var` is in a reduction: the element and what has been added up.
    pub const FRAME: &str = "frame";
}

/// The functions of ours that the engine is to know, under their names there.
pub(super) fn functions() -> impl Iterator<Item = (String, Eager)> {
    let named = OPERATORS.iter().filter_map(|operator| match operator.form {
        Form::Ours(function) => Some((operator.name, function)),
        _ => None,
    });
    let parts: [(&str, Function); 10] = [
        ("missing", lookup::missing),
        ("missing_some", lookup::missing_some),
        ("fractional", split::fractional),
        ("sem_ver", version::compare),
        (part::BUCKET, split::bucket),
        (part::LOOKUP, lookup::find),
        (part::TIME, lookup::time),
        (part::ELEMENTS, arrays::elements),
        (part::STEP, arrays::step),
        (part::FRAME, arrays::frame),
    ];
    named.chain(parts).map(|(name, function)| (engine_name(name), Eager(function)))
}

/// A function as the engine takes it.
pub(super) struct Eager(Function);

impl CustomOperator for Eager {
    fn evaluate<'a>(
        &self,
        arguments: &[&'a DataValue<'a>],
        context: &mut EvalContext<'_, 'a>,
        arena: &'a Bump,
    ) -> Answer<'a> {
        (self.0)(Call { arguments, context: context.root_input(), arena })
    }
}
