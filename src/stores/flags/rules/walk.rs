//! The way of an evaluation through its rule, followed anew: along the branches that are taken, with each condition
//! evaluated by itself. Slower than evaluating, and never the one that decides.

use super::context::Context;
use super::engine::{self, Compiled};
use super::explanation::{Bucketing, Step};
use super::fault::{At, Faults};
use super::flag::{Flag, Rule};
use super::meter;
use super::rule::Pass;
use super::shown::{shortened, shown};
use datalogic_rs::DataValue;
use datalogic_rs::datavalue::OwnedDataValue;
use serde_json::Value;

/// The most steps that are told.
const MOST_STEPS: usize = 100;
/// What all of them may cost: so many evaluations.
const MOST_WORK: usize = 2 * meter::BUDGET;

/// A walk under way.
pub(super) struct Walk<'w> {
    flag: &'w Flag,
    rule: &'w Rule,
    context: &'w Context<'w>,
    now: u64,
    path: Vec<Step>,
    buckets: Vec<Bucketing>,
    work: usize,
}

/// Why a walk ends before its end: something could not be evaluated, or it is too long.
struct Ended;

impl<'w> Walk<'w> {
    /// The steps, the splits among them, and whether there were more.
    pub(super) fn along(flag: &'w Flag, context: &'w Context<'w>, now: u64) -> (Vec<Step>, Vec<Bucketing>, bool) {
        let Some(rule) = flag.asked_rule() else { return (Vec::new(), Vec::new(), false) };
        let mut walk = Walk { flag, rule, context, now, path: Vec::new(), buckets: Vec::new(), work: 0 };
        let ended = walk.follow(&rule.written, &At::Member(&At::Document, "targeting")).is_err();
        let cut = ended && walk.is_long();
        (walk.path, walk.buckets, cut)
    }

    /// Along what gives the result.
    fn follow(&mut self, rule: &'w Value, at: &At<'_>) -> Result<(), Ended> {
        match operation(rule) {
            Some((name @ ("if" | "?:"), Value::Array(list))) => self.branch(rule, list, &At::Member(at, name), at),
            Some(("fractional", list)) => self.split(rule, list, &At::Member(at, "fractional"), at),
            Some(("$ref", Value::String(name))) => match self.rule.evaluators.get(name) {
                Some(rule) => self.follow(rule, &At::Member(&At::Member(&At::Document, "$evaluators"), name)),
                None => Err(Ended),
            },
            _ => self.step(rule, at).map(drop),
        }
    }

    fn branch(&mut self, rule: &'w Value, list: &'w [Value], inside: &At<'_>, at: &At<'_>) -> Result<(), Ended> {
        let (pairs, last) = list.as_chunks::<2>();
        for (pair, [condition, chosen]) in pairs.iter().enumerate() {
            if self.condition(condition, &At::Element(inside, 2 * pair))? {
                return self.follow(chosen, &At::Element(inside, 2 * pair + 1));
            }
        }
        match last {
            [otherwise] => self.follow(otherwise, &At::Element(inside, list.len() - 1)),
            _ => self.record(at, rule, Value::Null),
        }
    }

    fn split(&mut self, rule: &'w Value, list: &'w Value, inside: &At<'_>, at: &At<'_>) -> Result<(), Ended> {
        let told = self.run(|pass, at| pass.bucket(rule, at), shown_bucket);
        let Some((bucketing, index)) = told.flatten() else {
            self.record(at, rule, Value::Null)?;
            return Err(Ended);
        };
        self.record(at, rule, bucketing.variant.clone())?;
        self.buckets.push(bucketing);
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let place = index + usize::from(list.first().is_some_and(|first| !first.is_array()));
        match list.get(place).and_then(|pair| pair.get(0)) {
            Some(variant @ Value::Object(_)) => self.follow(variant, &At::Element(&At::Element(inside, place), 0)),
            _ => Ok(()),
        }
    }

    /// Whether a condition holds, with the conditions that it is made of.
    fn condition(&mut self, rule: &'w Value, at: &At<'_>) -> Result<bool, Ended> {
        match operation(rule) {
            Some((name @ ("and" | "or"), Value::Array(list))) => {
                let inside = At::Member(at, name);
                for (index, operand) in list.iter().enumerate() {
                    if self.condition(operand, &At::Element(&inside, index))? == (name == "or") {
                        break;
                    }
                }
            }
            Some(("$ref", Value::String(name))) => {
                let evaluators = At::Member(&At::Document, "$evaluators");
                if let Some(rule) = self.rule.evaluators.get(name) {
                    return self.condition(rule, &At::Member(&evaluators, name));
                }
            }
            _ => {}
        }
        self.step(rule, at)
    }

    /// Evaluates something, tells it, and says whether it holds.
    fn step(&mut self, rule: &'w Value, at: &At<'_>) -> Result<bool, Ended> {
        let result = self.run(|pass, at| pass.expression(rule, at), |result| (shown(result), engine::is_true(result)));
        match result {
            Some((result, holds)) => self.record(at, rule, result).map(|()| holds),
            None => {
                self.record(at, rule, Value::Null)?;
                Err(Ended)
            }
        }
    }

    fn run<T>(
        &mut self,
        expression: impl FnOnce(&mut Pass<'w, '_>, &At<'_>) -> OwnedDataValue,
        read: impl FnOnce(&DataValue<'_>) -> T,
    ) -> Option<T> {
        // The rule has been checked where it was compiled, so there are none.
        let mut faults = Faults::default();
        let mut pass = Pass::new(&self.rule.evaluators, self.flag.key(), &mut faults);
        let expression = expression(&mut pass, &At::Document);
        let compiled = Compiled::new(expression, pass.nodes)?;
        let outcome = compiled.run(self.context, self.now, |result| Ok(read(result)));
        self.work += meter::spent();
        outcome.ok()
    }

    fn record(&mut self, at: &At<'_>, rule: &Value, result: Value) -> Result<(), Ended> {
        if self.is_long() {
            return Err(Ended);
        }
        self.path.push(Step { pointer: at.pointer(), expression: shortened(&rule.to_string()), result });
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.path.len() >= MOST_STEPS || self.work > MOST_WORK
    }
}

/// The operator of a rule and its arguments.
fn operation(rule: &Value) -> Option<(&str, &Value)> {
    rule.as_object()?.iter().next().map(|(name, arguments)| (name.as_str(), arguments))
}

fn shown_bucket(told: &DataValue<'_>) -> Option<(Bucketing, usize)> {
    let [seed, hash, bucket, of, index, variant] = told.as_array()? else { return None };
    let whole = |number: &DataValue<'_>| number.as_i64().and_then(|number| u64::try_from(number).ok());
    let bucketing = Bucketing {
        seed_text: shortened(seed.as_str()?),
        hash: u32::try_from(whole(hash)?).ok()?,
        bucket: whole(bucket)?,
        of: whole(of)?,
        variant: shown(variant),
    };
    Some((bucketing, usize::try_from(whole(index)?).ok()?))
}
