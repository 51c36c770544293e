//! Operators on arrays, and what iterations are made of. The engine iterates; these say over what and at what price.

use super::{Answer, Call};
use crate::stores::flags::rules::coercion::{strictly_equal, text};
use crate::stores::flags::rules::meter::{spend, spend_bytes, spend_nodes};
use datalogic_rs::bumpalo::collections::Vec as ArenaVec;
use datalogic_rs::{ArenaExt, DataValue};

/// Elements that are copied or compared for one unit of work.
const ELEMENTS_A_UNIT: usize = 4;

/// `in`: whether an array has an element that is the same, or a text has the other in it. Nothing is in anything else,
/// and `null` in no text.
pub(super) fn contains<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let (part, whole) = (call.argument(0), call.argument(1));
    let found = match whole {
        DataValue::Array(elements) => {
            spend(elements.len() / ELEMENTS_A_UNIT)?;
            let mut found = false;
            for element in *elements {
                found = strictly_equal(part, element)?;
                if found {
                    break;
                }
            }
            found
        }
        DataValue::String(_) if part.is_null() => false,
        DataValue::String(whole) => {
            spend_bytes(whole.len())?;
            whole.contains(text(part, call.arena)?.as_ref())
        }
        _ => false,
    };
    Ok(call.arena.bool(found))
}

/// `merge`: the elements of all arrays among the arguments, and the other arguments, in one array.
pub(super) fn merge<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let elements = |argument: &'a DataValue<'a>| match argument {
        DataValue::Array(elements) => *elements,
        other => std::slice::from_ref(other),
    };
    let length: usize = call.arguments.iter().map(|argument| elements(argument).len()).sum();
    spend(length / ELEMENTS_A_UNIT)?;
    let mut merged = ArenaVec::with_capacity_in(length, call.arena);
    merged.extend(call.arguments.iter().flat_map(|argument| elements(argument)).copied());
    Ok(call.arena.alloc(DataValue::Array(merged.into_bump_slice())))
}

/// The array that an iteration runs over. JsonLogic takes what is no array for an empty one, the engine runs over objects.
pub(super) fn elements<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    match call.argument(0) {
        // The engine makes room for as many results before the first step.
        array @ DataValue::Array(elements) => spend(elements.len() / ELEMENTS_A_UNIT).map(|()| array),
        _ => Ok(call.arena.alloc(DataValue::Array(&[]))),
    }
}

/// The result of a step of an iteration, which is paid for.
pub(super) fn step<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let nodes = call.argument(1).as_i64().and_then(|nodes| usize::try_from(nodes).ok());
    spend_nodes(nodes.unwrap_or(usize::MAX)).map(|()| call.argument(0))
}

/// The data of a step of a reduction, as `var` without a path sees it.
pub(super) fn frame<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    // Sorted, as all objects here are.
    Ok(call.arena.object(&[("accumulator", *call.argument(1)), ("current", *call.argument(0))]))
}
