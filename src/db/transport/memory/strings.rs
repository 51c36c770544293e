//! GET, SET and INCR.

use super::number;
use super::refusal::{Answer, OVERFLOW, SYNTAX, WRONG_TYPE, refuse, wrong_arity};
use super::table::{Entry, Table, Value};
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

pub(super) fn get(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key] = args else { return Err(wrong_arity("get")) };
    Ok(table.string(key)?.map_or(Reply::Nil, |value| Reply::Bulk(value.clone())))
}

pub(super) fn set(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, value, options @ ..] = args else { return Err(wrong_arity("set")) };
    let options = SetOptions::parse(options)?;
    let expires = options.expires(table.millis())?;
    let mut answer = Reply::Status("OK".into());
    if options.get {
        answer = table.string(key)?.map_or(Reply::Nil, |old| Reply::Bulk(old.clone()));
    }
    let old = table.entry(key);
    match options.condition {
        Some(Condition::IfAbsent) if old.is_some() => return Ok(if options.get { answer } else { Reply::Nil }),
        Some(Condition::IfPresent) if old.is_none() => return Ok(if options.get { answer } else { Reply::Nil }),
        _ => {}
    }
    let kept = old.filter(|_| options.keep).and_then(|entry| entry.expires);
    table.put(key.clone(), Entry { value: Value::String(value.clone()), expires: expires.or(kept) });
    Ok(answer)
}

pub(super) fn incr(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key] = args else { return Err(wrong_arity("incr")) };
    let one = |number: i64| Bytes::from(number.to_string());
    let Some(entry) = table.entry(key) else {
        table.put(key.clone(), Entry { value: Value::String(one(1)), expires: None });
        return Ok(Reply::Int(1));
    };
    let Value::String(value) = &mut entry.value else { return refuse(WRONG_TYPE) };
    let Some(number) = number::integer(value)?.checked_add(1) else { return refuse(OVERFLOW) };
    *value = one(number);
    Ok(Reply::Int(number))
}

#[derive(Clone, Copy, PartialEq)]
enum Condition {
    IfAbsent,
    IfPresent,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    AfterSeconds,
    AfterMillis,
    AtSeconds,
    AtMillis,
}

#[derive(Default)]
struct SetOptions {
    condition: Option<Condition>,
    expiry: Option<(Unit, Bytes)>,
    keep: bool,
    get: bool,
}

impl SetOptions {
    fn parse(args: &[Bytes]) -> Result<SetOptions, Refusal> {
        let mut options = SetOptions::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let is = |name: &str| arg.eq_ignore_ascii_case(name.as_bytes());
            let allowed = if is("GET") {
                options.get = true;
                true
            } else if is("KEEPTTL") {
                options.keep = true;
                options.expiry.is_none()
            } else if is("NX") {
                options.only(Condition::IfAbsent)
            } else if is("XX") {
                options.only(Condition::IfPresent)
            } else {
                let unit = match () {
                    () if is("EX") => Unit::AfterSeconds,
                    () if is("PX") => Unit::AfterMillis,
                    () if is("EXAT") => Unit::AtSeconds,
                    () if is("PXAT") => Unit::AtMillis,
                    () => return refuse(SYNTAX),
                };
                let Some(time) = args.next() else { return refuse(SYNTAX) };
                let same = options.expiry.as_ref().is_none_or(|(other, _)| *other == unit);
                options.expiry = Some((unit, time.clone()));
                same && !options.keep
            };
            if !allowed {
                return refuse(SYNTAX);
            }
        }
        Ok(options)
    }

    /// Takes a condition, unless the opposite was asked for.
    fn only(&mut self, condition: Condition) -> bool {
        self.condition.replace(condition).is_none_or(|other| other == condition)
    }

    /// When the value expires, in milliseconds.
    fn expires(&self, now: u64) -> Result<Option<u64>, Refusal> {
        let Some((unit, time)) = &self.expiry else { return Ok(None) };
        let time = number::integer(time)?;
        let millis = match unit {
            Unit::AfterSeconds | Unit::AtSeconds => time.checked_mul(1000),
            Unit::AfterMillis | Unit::AtMillis => Some(time),
        };
        let base = match unit {
            Unit::AfterSeconds | Unit::AfterMillis => i64::try_from(now).ok(),
            Unit::AtSeconds | Unit::AtMillis => Some(0),
        };
        let at = millis.filter(|millis| *millis > 0).zip(base).and_then(|(millis, base)| millis.checked_add(base));
        match at.and_then(|at| u64::try_from(at).ok()) {
            Some(at) => Ok(Some(at)),
            None => refuse("ERR invalid expire time in 'set' command"),
        }
    }
}
