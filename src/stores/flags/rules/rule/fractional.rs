//! The rule of a split: what is hashed, and the variants with their weights.

use super::{Arguments, OwnedDataValue, Pass, Place, Value, ours};
use crate::stores::flags::rules::fault::At;
use crate::stores::flags::rules::operators::{HEAVIEST, TARGETING_KEY};

impl<'d> Pass<'d, '_> {
    /// `fractional` as the function takes it: the key of the flag, what is hashed, and then variants and weights in turn.
    pub(super) fn fractional(&mut self, arguments: Arguments<'d>, place: Place<'_>) -> OwnedDataValue {
        let plain = Place { result: false, ..place };
        self.looks_at(TARGETING_KEY);
        let by_rule = arguments.list.first().is_some_and(|first| !first.is_array());
        let hashed = if by_rule { self.argument(arguments, 0, plain, false) } else { OwnedDataValue::Null };
        if let Some(Value::Bool(_) | Value::Number(_)) = arguments.list.first() {
            self.fault_at(
                &At::Element(place.at, 0),
                "must be what is hashed, a text, or a variant with its weight".into(),
            );
        }
        let mut operands = vec![self.flag_key(), hashed];
        let mut sum = Some(0_u64);
        for (index, part) in arguments.list.iter().enumerate().skip(usize::from(by_rule)) {
            let at = At::Element(place.at, index);
            let Some(pair) = part.as_array().filter(|pair| matches!(pair.len(), 1 | 2)) else {
                self.fault_at(&at, "must be a list of a variant and its weight, or of a variant alone".to_owned());
                sum = None;
                continue;
            };
            let pair = Arguments { list: pair, single: false };
            operands.push(self.argument(pair, 0, Place { at: &at, ..place }, place.result));
            let weight = self.weight(pair.list.get(1), &At::Element(&at, 1));
            sum = sum.zip(weight).map(|(sum, weight)| sum.saturating_add(weight));
            operands.push(self.argument(pair, 1, Place { at: &at, ..plain }, false));
        }
        match sum {
            _ if arguments.list.len() == usize::from(by_rule) => {
                self.fault_at(place.at, "must have at least one variant".to_owned())
            }
            Some(0) => self.fault_at(place.at, "must have a weight that is not 0".to_owned()),
            Some(sum) if sum > HEAVIEST => {
                self.fault_at(place.at, format!("must have weights that add up to at most {HEAVIEST}"));
            }
            _ => {}
        }
        ours("fractional", operands)
    }

    /// A weight that is known: none where it is computed, or wrong, which is told.
    fn weight(&mut self, weight: Option<&Value>, at: &At<'_>) -> Option<u64> {
        match weight {
            None | Some(Value::Null) => Some(1),
            Some(Value::Object(_)) => None,
            Some(weight) => {
                let whole = weight.as_u64().or_else(|| whole(weight.as_f64()?)).filter(|weight| *weight <= HEAVIEST);
                if whole.is_none() {
                    self.fault_at(at, format!("must be a whole number from 0 to {HEAVIEST}, or a rule for one"));
                }
                whole
            }
        }
    }
}

/// The whole number that a double is, as `25.0` is one in JSON.
fn whole(number: f64) -> Option<u64> {
    ((0.0..=HEAVIEST as f64).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}
