//! How JsonLogic turns one type into another: as JavaScript does, which is the language that it is defined by. The
//! engine's own coercions differ (to it `null` equals `0` and the empty text), so none of its comparisons are used.

use super::meter::spend_bytes;
use datalogic_rs::bumpalo::Bump;
use datalogic_rs::bumpalo::collections::String as ArenaString;
use datalogic_rs::datavalue::NumberValue;
use datalogic_rs::{DataValue, Result};
use std::cmp::Ordering;
use std::fmt::Write;

/// Digits that a double is written with at most before JavaScript takes to exponents.
const PLAIN_BELOW: f64 = 1e21;

/// The number that a value is, or NaN: texts are read, `null` is 0, booleans are 0 and 1, a list is read as its text.
///
/// # Errors
/// The text of a list is dearer than what may be spent.
pub(super) fn number(value: &DataValue<'_>, arena: &Bump) -> Result<f64> {
    Ok(match value {
        DataValue::Null => 0.0,
        DataValue::Bool(truth) => f64::from(u8::from(*truth)),
        DataValue::Number(number) => number.as_f64(),
        DataValue::String(text) => {
            spend_bytes(text.len().saturating_mul(4))?;
            number_in(text)
        }
        DataValue::Array(_) => number_in(&text(value, arena)?),
        DataValue::Object(_) => f64::NAN,
    })
}

fn number_in(text: &str) -> f64 {
    let text = text.trim();
    let digits = |radix, digits: &str| u64::from_str_radix(digits, radix).map_or(f64::NAN, |number| number as f64);
    match (text.as_bytes(), text.get(2..)) {
        ([], _) => 0.0,
        ([b'0', b'x' | b'X', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..], Some(rest)) => digits(16, rest),
        // Rust also reads `inf`, `nan` and the like; of words JavaScript knows this one.
        ([b'+' | b'-' | b'.' | b'0'..=b'9', ..], _) if !text.contains(['i', 'n', 'I', 'N']) => {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => match text {
            "Infinity" | "+Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => f64::NAN,
        },
    }
}

/// The text of a value in the arena: that of a list is its elements between commas.
///
/// # Errors
/// It is dearer than what may be spent.
pub(super) fn text<'a>(value: &DataValue<'a>, arena: &'a Bump) -> Result<std::borrow::Cow<'a, str>> {
    if let DataValue::String(text) = value {
        return Ok(std::borrow::Cow::Borrowed(text));
    }
    let mut written = ArenaString::new_in(arena);
    write_text(value, &mut written)?;
    Ok(std::borrow::Cow::Borrowed(written.into_bump_str()))
}

/// Appends the text of a value.
///
/// # Errors
/// It is dearer than what may be spent.
pub(super) fn write_text(value: &DataValue<'_>, to: &mut ArenaString<'_>) -> Result<()> {
    match value {
        DataValue::Null => to.push_str("null"),
        DataValue::Bool(truth) => to.push_str(if *truth { "true" } else { "false" }),
        DataValue::Number(number) => {
            spend_bytes(32)?;
            write_number(number, to);
        }
        DataValue::String(text) => {
            // Copied, and once more where the text grows.
            spend_bytes(text.len().saturating_mul(4))?;
            to.push_str(text);
        }
        DataValue::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                spend_bytes(64)?;
                if at > 0 {
                    to.push(',');
                }
                if !element.is_null() {
                    write_text(element, to)?;
                }
            }
        }
        DataValue::Object(_) => to.push_str("[object Object]"),
    }
    Ok(())
}

fn write_number(number: &NumberValue, to: &mut ArenaString<'_>) {
    // Writing to a text of the arena cannot fail.
    let written = match *number {
        NumberValue::Integer(number) => write!(to, "{number}"),
        NumberValue::Float(number) if number.is_nan() => write!(to, "NaN"),
        NumberValue::Float(number) if number.is_infinite() && number > 0.0 => write!(to, "Infinity"),
        NumberValue::Float(number) if number.is_infinite() => write!(to, "-Infinity"),
        NumberValue::Float(number) if number.abs() < PLAIN_BELOW && number.abs() >= 1e-6 || number == 0.0 => {
            write!(to, "{}", number + 0.0)
        }
        NumberValue::Float(number) => write!(to, "{number:e}"),
    };
    debug_assert!(written.is_ok());
}

/// Whether two numbers are one. Whole ones are compared exactly, unlike doubles: identifiers are long.
fn same_number(left: &NumberValue, right: &NumberValue) -> bool {
    match (left, right) {
        (NumberValue::Integer(left), NumberValue::Integer(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

/// `===`: of one type and equal. Two lists or objects never are: JavaScript compares which they are, not what they hold.
///
/// # Errors
/// The texts are longer than what may be spent.
pub(super) fn strictly_equal(left: &DataValue<'_>, right: &DataValue<'_>) -> Result<bool> {
    Ok(match (left, right) {
        (DataValue::Null, DataValue::Null) => true,
        (DataValue::Bool(left), DataValue::Bool(right)) => left == right,
        (DataValue::Number(left), DataValue::Number(right)) => same_number(left, right),
        (DataValue::String(left), DataValue::String(right)) => {
            spend_bytes(left.len().min(right.len()))?;
            left == right
        }
        _ => false,
    })
}

/// `==`: `null` equals itself alone, booleans count as numbers, a text beside a number is read as one, a list beside a
/// text or a number is its text.
///
/// # Errors
/// The text of a list is dearer than what may be spent.
pub(super) fn loosely_equal(left: &DataValue<'_>, right: &DataValue<'_>, arena: &Bump) -> Result<bool> {
    use DataValue::{Array, Bool, Null, Number, Object, String};
    Ok(match (left, right) {
        (Null, _) | (_, Null) => left.is_null() && right.is_null(),
        (Bool(_), Bool(_)) | (Number(_), Number(_)) | (String(_), String(_)) => strictly_equal(left, right)?,
        (Array(_) | Object(_), Array(_) | Object(_)) => false,
        (Array(_) | Object(_), String(text_of_other)) | (String(text_of_other), Array(_) | Object(_)) => {
            let composite = if left.is_string() { right } else { left };
            text(composite, arena)?.as_ref() == *text_of_other
        }
        _ => number(left, arena)? == number(right, arena)?,
    })
}

/// How two values are ordered: texts by their characters, all else as numbers. None where one of them is no number.
///
/// # Errors
/// The text of a list is dearer than what may be spent.
pub(super) fn order(left: &DataValue<'_>, right: &DataValue<'_>, arena: &Bump) -> Result<Option<Ordering>> {
    match (left, right) {
        (DataValue::String(left), DataValue::String(right)) => {
            spend_bytes(left.len().min(right.len()))?;
            Ok(Some(left.cmp(right)))
        }
        (DataValue::Number(NumberValue::Integer(left)), DataValue::Number(NumberValue::Integer(right))) => {
            Ok(Some(left.cmp(right)))
        }
        _ => Ok(number(left, arena)?.partial_cmp(&number(right, arena)?)),
    }
}
