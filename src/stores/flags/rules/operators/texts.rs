//! Operators on texts: JsonLogic's and flagd's.

use super::{Answer, Call};
use crate::stores::flags::rules::coercion::{self, text, write_text};
use crate::stores::flags::rules::meter::spend_bytes;
use datalogic_rs::bumpalo::collections::String as ArenaString;
use datalogic_rs::{ArenaExt, DataValue};

/// `cat`: the arguments as one text. `null` is nothing in it.
pub(super) fn concatenate<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let mut whole = ArenaString::new_in(call.arena);
    for argument in call.arguments.iter().filter(|argument| !argument.is_null()) {
        write_text(argument, &mut whole)?;
    }
    Ok(call.arena.alloc(DataValue::String(whole.into_bump_str())))
}

/// `substr`: from a character on, counted from the end where it is negative, so many characters, or all but so many of
/// the last where that is negative. Characters are Unicode's.
pub(super) fn substring<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let whole = text(call.argument(0), call.arena)?;
    spend_bytes(whole.len().saturating_mul(4))?;
    let length = whole.chars().count();
    let from_end = |offset: f64| if offset < 0.0 { length as f64 + offset } else { offset };
    let number = |value| coercion::number(value, call.arena);
    let start = bounded(from_end(number(call.argument(1))?), length);
    let end = match call.argument(2) {
        DataValue::Null => length,
        wanted => match number(wanted)? {
            wanted if wanted < 0.0 => bounded(from_end(wanted), length),
            wanted => bounded(start as f64 + wanted, length),
        },
    };
    let part = whole.chars().skip(start).take(end.saturating_sub(start));
    let part = ArenaString::from_iter_in(part, call.arena);
    Ok(call.arena.alloc(DataValue::String(part.into_bump_str())))
}

/// An offset within a text of so many characters; NaN is its beginning.
fn bounded(offset: f64, length: usize) -> usize {
    // Casts to whole numbers saturate, and turn NaN into 0.
    (offset as usize).min(length)
}

/// `starts_with`: null, as in flagd, where one of the two is no text.
pub(super) fn starts_with<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(match (call.argument(0), call.argument(1)) {
        (DataValue::String(whole), DataValue::String(part)) => {
            spend_bytes(part.len().min(whole.len()))?;
            call.arena.bool(whole.starts_with(part))
        }
        _ => call.arena.null(),
    })
}

/// `ends_with`: false, as in flagd, where one of the two is no text.
pub(super) fn ends_with<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(match (call.argument(0), call.argument(1)) {
        (DataValue::String(whole), DataValue::String(part)) => {
            spend_bytes(part.len().min(whole.len()))?;
            call.arena.bool(whole.ends_with(part))
        }
        _ => call.arena.bool(false),
    })
}
