//! HDEL, HGET, HGETALL, HMGET and HSET.

use super::refusal::{Answer, wrong_arity};
use super::sorted_sets::count;
use super::table::Table;
use crate::db::reply::Reply;
use bytes::Bytes;

pub(super) fn hdel(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, fields @ ..] = args else { return Err(wrong_arity("hdel")) };
    let Some(hash) = table.hash(key)? else { return Ok(Reply::Int(0)) };
    let removed = fields.iter().filter(|field| hash.remove(*field).is_some()).count();
    if hash.is_empty() {
        table.remove(key);
    }
    Ok(count(removed))
}

pub(super) fn hget(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, field] = args else { return Err(wrong_arity("hget")) };
    let value = table.hash(key)?.and_then(|hash| hash.get(field));
    Ok(value.map_or(Reply::Nil, |value| Reply::Bulk(value.clone())))
}

/// Fields and values, in the order of the fields; that of Redis is none.
pub(super) fn hgetall(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key] = args else { return Err(wrong_arity("hgetall")) };
    let mut pairs: Vec<_> = table.hash(key)?.into_iter().flat_map(|hash| hash.iter()).collect();
    pairs.sort();
    let bulk = |bytes: &Bytes| Reply::Bulk(bytes.clone());
    Ok(Reply::Array(pairs.into_iter().flat_map(|(field, value)| [bulk(field), bulk(value)]).collect()))
}

pub(super) fn hmget(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, fields @ ..] = args else { return Err(wrong_arity("hmget")) };
    let hash = table.hash(key)?;
    let value = |field| hash.as_ref().and_then(|hash| hash.get(field));
    let values = fields.iter().map(|field| value(field).map_or(Reply::Nil, |value| Reply::Bulk(value.clone())));
    Ok(Reply::Array(values.collect()))
}

pub(super) fn hset(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, pairs @ ..] = args else { return Err(wrong_arity("hset")) };
    if pairs.len() % 2 != 0 {
        return Err(wrong_arity("hset"));
    }
    let hash = table.hash_or_new(key)?;
    let mut added = 0;
    for pair in pairs.chunks_exact(2) {
        let [field, value] = pair else { continue };
        added += i64::from(hash.insert(field.clone(), value.clone()).is_none());
    }
    Ok(Reply::Int(added))
}
