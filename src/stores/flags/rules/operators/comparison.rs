//! Comparisons, with JavaScript's ideas of equality and order.

use super::{Answer, Call};
use crate::stores::flags::rules::coercion::{loosely_equal, order, strictly_equal};
use datalogic_rs::{ArenaExt, Result};
use std::cmp::Ordering;

pub(super) fn equal<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(call.arena.bool(loosely_equal(call.argument(0), call.argument(1), call.arena)?))
}

pub(super) fn not_equal<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(call.arena.bool(!loosely_equal(call.argument(0), call.argument(1), call.arena)?))
}

pub(super) fn same<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(call.arena.bool(strictly_equal(call.argument(0), call.argument(1))?))
}

pub(super) fn not_same<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    Ok(call.arena.bool(!strictly_equal(call.argument(0), call.argument(1))?))
}

pub(super) fn less<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    ordered(call, Ordering::is_lt)
}

pub(super) fn at_most<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    ordered(call, Ordering::is_le)
}

pub(super) fn greater<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    ordered(call, Ordering::is_gt)
}

pub(super) fn at_least<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    ordered(call, Ordering::is_ge)
}

/// Each argument beside the next: three are "between".
fn ordered<'a>(call: Call<'_, 'a>, holds: fn(Ordering) -> bool) -> Answer<'a> {
    let pairs = call.arguments.iter().zip(call.arguments.iter().skip(1));
    let mut all = pairs.map(|(left, right)| Ok(order(left, right, call.arena)?.is_some_and(holds)));
    let all: Result<bool> = all.try_fold(true, |all, one: Result<bool>| Ok(all && one?));
    Ok(call.arena.bool(all?))
}
