//! From a rule as its author wrote it to what the engine runs: checked, with references resolved, and with every operator
//! put the way that this house does it.

use super::fault::{At, Faults, quoted};
use super::operators::{self, Form, Operator, engine_name, part};
use datalogic_rs::datavalue::{NumberValue, OwnedDataValue};
use serde_json::{Map, Number, Value};

mod fractional;
mod names;

/// How deep a rule may nest, references resolved. The engine recurses, and takes about three levels for one.
const DEEPEST: usize = 64;
/// What a node takes at least, in bytes.
const NODE: usize = 100;
/// The most nodes of a rule, references resolved: references to references could be more than any memory.
pub(super) const MOST_NODES: usize = 10_000;

/// What `var` looks into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The context, or an element of an iteration.
    Data,
    /// What a step of a reduction has: `current` and `accumulator`.
    Reduction,
}

/// Where a rule stands: in the document, in which scope, how deep, and whether what it gives is the result of all.
#[derive(Clone, Copy)]
struct Place<'p> {
    at: &'p At<'p>,
    scope: Scope,
    depth: usize,
    result: bool,
}

/// One pass over a rule.
pub(super) struct Pass<'d, 'f> {
    /// The rules that can be referred to.
    pub evaluators: &'d Map<String, Value>,
    pub faults: &'f mut Faults,
    /// The key of the flag.
    pub key: &'d str,
    /// The names that a result may have, or none to know.
    pub variants: Option<&'d Map<String, Value>>,
    /// How many nodes it may have.
    pub most: usize,
    /// Nodes so far, references resolved.
    pub nodes: usize,
    /// Whether it may look at the time.
    pub reads_clock: bool,
    /// The members of the context that it may look at; none where that may be any.
    pub reads: Option<Vec<Box<str>>>,
    within: Vec<&'d str>,
    /// Where the outermost reference stands that is being resolved. Faults behind it are the evaluator's own.
    reference: Option<String>,
    stopped: bool,
}

impl<'d, 'f> Pass<'d, 'f> {
    pub(super) fn new(evaluators: &'d Map<String, Value>, key: &'d str, faults: &'f mut Faults) -> Pass<'d, 'f> {
        let (within, reference) = (Vec::new(), None);
        let (variants, most, nodes, stopped) = (None, MOST_NODES, 0, false);
        let (reads_clock, reads) = (false, Some(Vec::new()));
        Pass { evaluators, faults, key, variants, most, nodes, reads_clock, reads, within, reference, stopped }
    }

    /// The rule in the engine's terms, which are only good if there was no fault.
    pub(super) fn expression(&mut self, rule: &'d Value, at: &At<'_>) -> OwnedDataValue {
        self.any(rule, Place { at, scope: Scope::Data, depth: 0, result: self.variants.is_some() })
    }

    /// The choice of a `fractional`, with all about it, as [`part::BUCKET`] gives it.
    pub(super) fn bucket(&mut self, rule: &'d Value, at: &At<'_>) -> OwnedDataValue {
        let expression = self.expression(rule, at);
        match expression {
            OwnedDataValue::Object(mut members) => {
                members.iter_mut().for_each(|(name, _)| *name = engine_name(part::BUCKET));
                OwnedDataValue::Object(members)
            }
            other => other,
        }
    }

    /// As [`Pass::expression`], for a rule that is an evaluator: referring back to itself is a circle.
    pub(super) fn evaluator(&mut self, name: &'d str, rule: &'d Value, at: &At<'_>) {
        self.within.push(name);
        self.expression(rule, at);
    }

    fn any(&mut self, rule: &'d Value, place: Place<'_>) -> OwnedDataValue {
        // A text counts as what it takes: references put it in place again and again.
        self.nodes += 1 + rule.as_str().map_or(0, |text| text.len() / NODE);
        if self.nodes > self.most {
            self.stop(place.at, format!("has more than {} nodes, with the rules that it refers to", self.most));
        } else if place.depth > DEEPEST {
            self.stop(place.at, format!("nests deeper than {DEEPEST}, with the rules that it refers to"));
        }
        if self.stopped {
            return OwnedDataValue::Null;
        }
        match rule {
            Value::Object(members) => {
                let mut members = members.iter();
                match (members.next(), members.next()) {
                    (Some((name, arguments)), None) => self.operation(name, arguments, place),
                    _ => self.fault(place.at, "must have exactly one member, which is its operator"),
                }
            }
            Value::Array(elements) => {
                if place.result {
                    self.result_fault(place.at, "is a list, which names no variant");
                }
                let elements = elements.iter().enumerate().map(|(index, element)| {
                    let at = At::Element(place.at, index);
                    self.any(element, Place { at: &at, depth: place.depth + 1, result: false, ..place })
                });
                OwnedDataValue::Array(elements.collect())
            }
            literal => {
                if place.result {
                    self.check_result(literal, place.at);
                }
                literal_of(literal)
            }
        }
    }

    fn operation(&mut self, name: &'d str, arguments: &'d Value, place: Place<'_>) -> OwnedDataValue {
        let at = At::Member(place.at, name);
        let Some(operator) = operators::find(name) else {
            return self.fault(&at, format!("there is no operator {}", quoted(name)));
        };
        let place = Place { at: &at, depth: place.depth + 1, ..place };
        let arguments = Arguments::of(arguments);
        let count = arguments.list.len();
        if !(operator.least..=operator.most).contains(&count) {
            return self.fault(&at, wrong_count(operator, count));
        }
        self.form(operator, arguments, place)
    }

    fn form(&mut self, operator: &Operator, arguments: Arguments<'d>, place: Place<'_>) -> OwnedDataValue {
        let (list, plain) = (arguments.list, Place { result: false, ..place });
        match operator.form {
            Form::Engine => {
                let branching = place.result && matches!(operator.name, "if" | "?:");
                let branch = |index: usize| branching && (index % 2 == 1 || index + 1 == list.len());
                let operands = (0..list.len()).map(|index| self.argument(arguments, index, plain, branch(index)));
                call(operator.name, operands.collect())
            }
            Form::Ours(_) => {
                let operands = (0..list.len()).map(|index| self.argument(arguments, index, plain, false));
                ours(operator.name, operands.collect())
            }
            Form::Version => {
                self.check_version(arguments, place.at);
                let operands = (0..list.len()).map(|index| self.argument(arguments, index, plain, false));
                ours(operator.name, operands.collect())
            }
            Form::Missing => {
                let mut operands = vec![self.flag_key(), self.whole(place.scope)];
                operands.extend((0..list.len()).map(|index| self.argument(arguments, index, plain, false)));
                ours(operator.name, operands)
            }
            Form::Variable => self.variable(arguments, plain),
            Form::Iteration => {
                let over = self.argument(arguments, 0, plain, false);
                let step = self.step(arguments, Place { scope: Scope::Data, ..plain });
                call(operator.name, vec![ours(part::ELEMENTS, vec![over]), step])
            }
            Form::Reduction => {
                let over = self.argument(arguments, 0, plain, false);
                let step = self.step(arguments, Place { scope: Scope::Reduction, ..plain });
                let mut operands = vec![ours(part::ELEMENTS, vec![over]), step];
                operands.extend(list.get(2).map(|_| self.argument(arguments, 2, plain, false)));
                call(operator.name, operands)
            }
            Form::Fractional => self.fractional(arguments, place),
            Form::Reference => self.refer(arguments, place),
        }
    }

    fn argument(&mut self, of: Arguments<'d>, index: usize, place: Place<'_>, result: bool) -> OwnedDataValue {
        let Some(argument) = of.list.get(index) else { return OwnedDataValue::Null };
        let element = At::Element(place.at, index);
        let at = if of.single { place.at } else { &element };
        self.any(argument, Place { at, result, ..place })
    }

    /// The rule of an iteration, which is paid for by its nodes each time.
    fn step(&mut self, arguments: Arguments<'d>, place: Place<'_>) -> OwnedDataValue {
        let before = self.nodes;
        let body = self.argument(arguments, 1, place, false);
        let nodes = i64::try_from(self.nodes - before).unwrap_or(i64::MAX);
        ours(part::STEP, vec![body, OwnedDataValue::Number(NumberValue::Integer(nodes))])
    }

    fn check_version(&mut self, arguments: Arguments<'d>, at: &At<'_>) {
        for (index, argument) in arguments.list.iter().enumerate() {
            let at = At::Element(at, index);
            match argument {
                Value::Object(_) => {}
                Value::String(relation) if index == 1 && operators::RELATIONS.contains(&relation.as_str()) => {}
                _ if index == 1 => self.fault_at(&at, format!("must be one of {}", operators::RELATIONS.join(" "))),
                Value::String(version) if operators::is_version(version) => {}
                _ => self.fault_at(&at, "must be a version such as 1.2.3, or a rule for one".to_owned()),
            }
        }
    }

    /// A literal that is the result must name a variant.
    fn check_result(&mut self, literal: &Value, at: &At<'_>) {
        let name = match literal {
            Value::String(name) => name.clone(),
            Value::Null => return,
            other => other.to_string(),
        };
        if self.variants.is_some_and(|variants| !variants.contains_key(&name)) {
            self.result_fault(at, &format!("there is no variant {}", quoted(&name)));
        }
    }

    fn flag_key(&self) -> OwnedDataValue {
        OwnedDataValue::String(self.key.to_owned())
    }

    fn fault(&mut self, at: &At<'_>, detail: impl Into<String>) -> OwnedDataValue {
        self.fault_at(at, detail.into());
        OwnedDataValue::Null
    }

    fn fault_at(&mut self, at: &At<'_>, detail: String) {
        if self.reference.is_none() {
            self.faults.push(at, detail);
        }
    }

    /// A fault of this rule even where it lies behind a reference: another flag may well refer to the same.
    fn result_fault(&mut self, at: &At<'_>, detail: &str) {
        match &self.reference {
            Some(reference) => self.faults.push_at(reference.clone(), format!("the rule referred to: {detail}")),
            None => self.faults.push(at, detail),
        }
    }

    /// Too much to go on.
    fn stop(&mut self, at: &At<'_>, detail: String) {
        if !self.stopped {
            self.stopped = true;
            let pointer = self.reference.clone().unwrap_or_else(|| at.pointer());
            self.faults.push_at(pointer, detail);
        }
    }
}

/// The arguments of an operator: a list, or a single one that is none.
#[derive(Clone, Copy)]
struct Arguments<'d> {
    list: &'d [Value],
    single: bool,
}

impl<'d> Arguments<'d> {
    fn of(arguments: &'d Value) -> Arguments<'d> {
        match arguments {
            Value::Array(list) => Arguments { list, single: false },
            single => Arguments { list: std::slice::from_ref(single), single: true },
        }
    }
}

fn wrong_count(operator: &Operator, count: usize) -> String {
    let Operator { name, least, most, .. } = operator;
    let wanted = match (least, most) {
        (least, most) if least == most => format!("{least}"),
        (least, &usize::MAX) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    };
    format!("{name} takes {wanted} arguments, and here are {count}")
}

/// A call of one of the engine's operators.
fn call(name: &str, arguments: Vec<OwnedDataValue>) -> OwnedDataValue {
    OwnedDataValue::Object(vec![(name.to_owned(), OwnedDataValue::Array(arguments))])
}

/// A call of a function of ours.
fn ours(name: &str, arguments: Vec<OwnedDataValue>) -> OwnedDataValue {
    call(&engine_name(name), arguments)
}

fn literal_of(literal: &Value) -> OwnedDataValue {
    match literal {
        Value::Bool(truth) => OwnedDataValue::Bool(*truth),
        Value::Number(number) => OwnedDataValue::Number(number_of(number)),
        Value::String(text) => OwnedDataValue::String(text.clone()),
        _ => OwnedDataValue::Null,
    }
}

fn number_of(number: &Number) -> NumberValue {
    match number.as_i64() {
        Some(whole) => NumberValue::from_i64(whole),
        None => NumberValue::from_f64(number.as_f64().unwrap_or(f64::NAN)),
    }
}
