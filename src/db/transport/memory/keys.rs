//! What is said of a key whatever it holds: DEL, EXISTS, PEXPIREAT, PTTL, RENAME; and TIME.

use super::number;
use super::refusal::{Answer, NO_SUCH_KEY, refuse, wrong_arity};
use super::table::Table;
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

pub(super) fn del(table: &mut Table, args: &[Bytes]) -> Answer {
    let mut deleted = 0;
    for key in args.iter().skip(1) {
        if table.entry(key).is_some() {
            table.remove(key);
            deleted += 1;
        }
    }
    Ok(Reply::Int(deleted))
}

pub(super) fn exists(table: &mut Table, args: &[Bytes]) -> Answer {
    Ok(Reply::Int(args.iter().skip(1).map(|key| i64::from(table.entry(key).is_some())).sum()))
}

pub(super) fn pttl(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key] = args else { return Err(wrong_arity("pttl")) };
    let now = table.millis();
    Ok(Reply::Int(match table.entry(key).map(|entry| entry.expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(at.saturating_sub(now)).unwrap_or(i64::MAX),
    }))
}

pub(super) fn rename(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, from, to] = args else { return Err(wrong_arity("rename")) };
    if table.entry(from).is_none() {
        return refuse(NO_SUCH_KEY);
    }
    if from != to
        && let Some(entry) = table.remove(from)
    {
        table.put(to.clone(), entry);
    }
    Ok(Reply::Status("OK".into()))
}

pub(super) fn time(table: &mut Table, _: &[Bytes]) -> Answer {
    let part = |number: u64| Reply::Bulk(Bytes::from(number.to_string()));
    Ok(Reply::Array(vec![part(table.micros() / 1_000_000), part(table.micros() % 1_000_000)]))
}

pub(super) fn pexpireat(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, at, options @ ..] = args else { return Err(wrong_arity("pexpireat")) };
    let condition = ExpiryCondition::parse(options)?;
    let at = number::integer(at)?;
    let Some(entry) = table.entry(key) else { return Ok(Reply::Int(0)) };
    if !condition.allows(entry.expires.and_then(|at| i64::try_from(at).ok()), at) {
        return Ok(Reply::Int(0));
    }
    match u64::try_from(at).ok().filter(|at| *at > table.millis()) {
        Some(at) => table.expire(key, at),
        None => drop(table.remove(key)),
    }
    Ok(Reply::Int(1))
}

#[derive(Default)]
struct ExpiryCondition {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl ExpiryCondition {
    fn parse(options: &[Bytes]) -> Result<ExpiryCondition, Refusal> {
        let mut condition = ExpiryCondition::default();
        for option in options {
            let flag = match option.to_ascii_uppercase().as_slice() {
                b"NX" => &mut condition.absent,
                b"XX" => &mut condition.present,
                b"GT" => &mut condition.greater,
                b"LT" => &mut condition.less,
                _ => {
                    let option = String::from_utf8_lossy(option).replace(['\r', '\n'], " ");
                    return refuse(&format!("ERR Unsupported option {option}"));
                }
            };
            *flag = true;
        }
        if condition.absent && (condition.present || condition.greater || condition.less) {
            return refuse("ERR NX and XX, GT or LT options at the same time are not compatible");
        }
        if condition.greater && condition.less {
            return refuse("ERR GT and LT options at the same time are not compatible");
        }
        Ok(condition)
    }

    /// Whether a key that expires at `current` may be made to expire at `at`. No expiry is the furthest one.
    fn allows(&self, current: Option<i64>, at: i64) -> bool {
        let refused = self.absent && current.is_some()
            || self.present && current.is_none()
            || self.greater && current.is_none_or(|current| at <= current)
            || self.less && current.is_some_and(|current| at >= current);
        !refused
    }
}
