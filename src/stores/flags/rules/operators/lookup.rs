//! Looking into the context by paths that only the evaluation knows. Paths that the rule says are the engine's.

use super::{Answer, Call};
use crate::stores::flags::rules::coercion::{number, text};
use crate::stores::flags::rules::meter::{now, spend_bytes, spend_nodes};
use datalogic_rs::bumpalo::Bump;
use datalogic_rs::bumpalo::collections::Vec as ArenaVec;
use datalogic_rs::{ArenaExt, DataValue, Result};

/// The path of the time in unix seconds, in any scope.
pub(in crate::stores::flags::rules) const TIMESTAMP: &str = "$flagd.timestamp";
/// The path of the key of the flag, in any scope.
pub(in crate::stores::flags::rules) const FLAG_KEY: &str = "$flagd.flagKey";

/// What stands at a path: names and indices between dots, all of the data for none. Objects are sorted by name.
fn at<'a>(data: &'a DataValue<'a>, path: &str) -> Option<&'a DataValue<'a>> {
    if path.is_empty() {
        return Some(data);
    }
    path.split('.').try_fold(data, |data, part| match data {
        DataValue::Object(members) => {
            let found = members.binary_search_by(|(name, _)| (*name).cmp(part)).ok()?;
            members.get(found).map(|(_, value)| value)
        }
        DataValue::Array(elements) => elements.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The data of a call whose first arguments are the key of the flag and where to look.
struct Sight<'a> {
    key: &'a DataValue<'a>,
    data: &'a DataValue<'a>,
    arena: &'a Bump,
}

impl<'a> Sight<'a> {
    fn of(call: &Call<'_, 'a>) -> Sight<'a> {
        Sight { key: call.argument(0), data: call.argument(1), arena: call.arena }
    }

    fn find(&self, path: &DataValue<'a>) -> Result<Option<&'a DataValue<'a>>> {
        spend_nodes(1)?;
        if path.is_null() {
            return Ok(Some(self.data));
        }
        let path = text(path, self.arena)?;
        spend_bytes(path.len().saturating_mul(4))?;
        Ok(match path.as_ref() {
            FLAG_KEY => Some(self.key),
            TIMESTAMP => Some(timestamp(self.arena)),
            path => at(self.data, path),
        })
    }

    /// The names among these that lead nowhere, to null or to an empty text.
    fn missing(&self, names: &[&'a DataValue<'a>]) -> Result<ArenaVec<'a, DataValue<'a>>> {
        let mut missing = ArenaVec::new_in(self.arena);
        for name in names {
            if matches!(self.find(name)?, None | Some(DataValue::Null | DataValue::String(""))) {
                missing.push(**name);
            }
        }
        Ok(missing)
    }
}

fn timestamp(arena: &Bump) -> &DataValue<'_> {
    arena.i64(i64::try_from(now()).unwrap_or(i64::MAX))
}

/// `$flagd.timestamp`.
pub(super) fn time<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(timestamp(call.arena))
}

/// `var` with a computed path.
pub(super) fn find<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(Sight::of(&call).find(call.argument(2))?.unwrap_or_else(|| call.argument(3)))
}

/// The elements of an array, by reference.
fn names<'a>(array: &'a [DataValue<'a>], arena: &'a Bump) -> ArenaVec<'a, &'a DataValue<'a>> {
    ArenaVec::from_iter_in(array, arena)
}

/// `missing`: the names are the arguments, or the elements of the first one where that is an array.
pub(super) fn missing<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let sight = Sight::of(&call);
    let missing = match call.argument(2) {
        DataValue::Array(elements) => {
            spend_nodes(elements.len())?;
            sight.missing(&names(elements, call.arena))?
        }
        _ => sight.missing(call.arguments.get(2..).unwrap_or_default())?,
    };
    Ok(call.arena.alloc(DataValue::Array(missing.into_bump_slice())))
}

/// `missing_some`: nothing where at least so many of the names are there, else those that are not.
pub(super) fn missing_some<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let DataValue::Array(elements) = call.argument(3) else { return Ok(call.arena.alloc(DataValue::Array(&[]))) };
    spend_nodes(elements.len())?;
    let missing = Sight::of(&call).missing(&names(elements, call.arena))?;
    let there = elements.len() - missing.len();
    let wanted = number(call.argument(2), call.arena)?;
    let told = if there as f64 >= wanted { &[][..] } else { missing.into_bump_slice() };
    Ok(call.arena.alloc(DataValue::Array(told)))
}
