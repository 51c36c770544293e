//! Arithmetic on doubles. What is no number makes NaN, which is falsy and equals nothing, and never an error.

use super::{Answer, Call};
use crate::stores::flags::rules::coercion::number;
use datalogic_rs::{ArenaExt, DataValue, Result};

pub(super) fn add<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    fold(call, 0.0, |sum, summand| sum + summand)
}

pub(super) fn multiply<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    fold(call, 1.0, |product, factor| product * factor)
}

/// JsonLogic reads the arguments of these two as texts with a number in front, in which `null` and booleans are none.
fn fold<'a>(call: Call<'_, 'a>, first: f64, join: fn(f64, f64) -> f64) -> Answer<'a> {
    let read = |value: &DataValue<'a>| match value {
        DataValue::Null | DataValue::Bool(_) => Ok(f64::NAN),
        DataValue::String(text) if text.trim().is_empty() => Ok(f64::NAN),
        other => number(other, call.arena),
    };
    let all: Result<f64> = call.arguments.iter().try_fold(first, |all, value| Ok(join(all, read(value)?)));
    Ok(call.arena.f64(all?))
}

pub(super) fn subtract<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    match call.arguments {
        [only] => Ok(call.arena.f64(-number(only, call.arena)?)),
        _ => binary(call, |left, right| left - right),
    }
}

pub(super) fn divide<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    binary(call, |left, right| left / right)
}

pub(super) fn remainder<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    binary(call, |left, right| left % right)
}

fn binary<'a>(call: Call<'_, 'a>, join: fn(f64, f64) -> f64) -> Answer<'a> {
    Ok(call.arena.f64(join(number(call.argument(0), call.arena)?, number(call.argument(1), call.arena)?)))
}

pub(super) fn largest<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    extreme(call, |other, best| other > best)
}

pub(super) fn smallest<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    extreme(call, |other, best| other < best)
}

/// The best of the arguments, NaN where one of them is.
fn extreme<'a>(call: Call<'_, 'a>, better: fn(f64, f64) -> bool) -> Answer<'a> {
    let mut best = None;
    for argument in call.arguments {
        let other = number(argument, call.arena)?;
        best = match best {
            Some(best) if !(other.is_nan() || better(other, best)) => Some(best),
            Some(best) if f64::is_nan(best) => Some(best),
            _ => Some(other),
        };
    }
    Ok(call.arena.f64(best.unwrap_or(f64::NAN)))
}
