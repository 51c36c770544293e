//! `fractional`: who gets which variant, by weights. The same people get the same variant from every evaluator that
//! follows flagd, and a weight that grows at the front only adds people.

use super::{Answer, Call};
use crate::stores::flags::rules::failure::{fail, needs_targeting_key};
use crate::stores::flags::rules::meter::spend_bytes;
use crate::stores::flags::rules::murmur3;
use datalogic_rs::bumpalo::collections::String as ArenaString;
use datalogic_rs::{ArenaExt, DataValue, Result};

/// The largest sum of weights.
pub(in crate::stores::flags::rules) const HEAVIEST: u64 = i32::MAX as u64;
/// What a context calls whom it is about.
pub(in crate::stores::flags::rules) const TARGETING_KEY: &str = "targetingKey";

/// Where a text falls.
struct Bucket<'a> {
    seed: &'a str,
    hash: u32,
    /// The hash, scaled to the sum of weights.
    bucket: u64,
    /// The sum of weights.
    of: u64,
    /// Which of the variants it falls on, from 0.
    index: usize,
    variant: &'a DataValue<'a>,
}

/// Chooses by the arguments of the function: the key of the flag, what is to be hashed (null for the key of the flag and
/// `targetingKey`), and then variants, each before its weight.
///
/// # Errors
/// There is nothing to hash, or a weight is none.
fn place<'a>(call: Call<'_, 'a>) -> Result<Bucket<'a>> {
    let seed = seed(&call)?;
    let pairs = || call.arguments.get(2..).unwrap_or_default().as_chunks::<2>().0.iter();
    let mut of = 0;
    for [_, weight] in pairs() {
        of += weight_of(weight)?;
    }
    if of > HEAVIEST {
        return Err(fail("the weights of a split add up to more than 2147483647"));
    }
    spend_bytes(seed.len().saturating_mul(4))?;
    let hash = murmur3::hash(seed.as_bytes());
    let bucket = (u64::from(hash) * of) >> 32;
    let mut end = 0;
    for (index, [variant, weight]) in pairs().enumerate() {
        end += weight_of(weight)?;
        if bucket < end {
            return Ok(Bucket { seed, hash, bucket, of, index, variant });
        }
    }
    Err(fail("the weights of a split are all 0"))
}

/// A weight: a whole number from 0 on. One that came out as null counts 1, as one that is not said.
fn weight_of(weight: &DataValue<'_>) -> Result<u64> {
    if weight.is_null() {
        return Ok(1);
    }
    weight
        .as_i64()
        .and_then(|weight| u64::try_from(weight).ok())
        .filter(|weight| *weight <= HEAVIEST)
        .ok_or_else(|| fail("a weight of a split came out as something else than a whole number from 0 to 2147483647"))
}

fn seed<'a>(call: &Call<'_, 'a>) -> Result<&'a str> {
    match call.argument(1) {
        DataValue::String(seed) => Ok(seed),
        DataValue::Null => {
            let DataValue::Object(members) = call.context else { return Err(needs_targeting_key()) };
            let found = members.binary_search_by(|(name, _)| (*name).cmp(TARGETING_KEY)).ok();
            match found.and_then(|found| members.get(found)) {
                Some((_, DataValue::String(targeting_key))) if !targeting_key.is_empty() => {
                    let key = call.argument(0).as_str().unwrap_or_default();
                    spend_bytes(targeting_key.len())?;
                    let mut seed = ArenaString::with_capacity_in(key.len() + targeting_key.len(), call.arena);
                    seed.push_str(key);
                    seed.push_str(targeting_key);
                    Ok(seed.into_bump_str())
                }
                _ => Err(needs_targeting_key()),
            }
        }
        _ => Err(fail("what a split hashes came out as something else than a text")),
    }
}

/// All about a choice, for whoever asks why: the text, its hash, the bucket, of how many, which variant, the variant.
pub(super) fn bucket<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let Bucket { seed, hash, bucket, of, index, variant } = place(call)?;
    let number = |number: u64| DataValue::from_i64(i64::try_from(number).unwrap_or(i64::MAX));
    let index = number(index as u64);
    Ok(call.arena.array(&[DataValue::String(seed), number(hash.into()), number(bucket), number(of), index, *variant]))
}

/// `fractional`: the variant that the text falls on.
pub(super) fn fractional<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    place(call).map(|bucket| bucket.variant)
}
