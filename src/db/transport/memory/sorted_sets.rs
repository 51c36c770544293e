//! ZADD, ZCARD, ZREM and ZSCORE.

use super::number;
use super::refusal::{Answer, NOT_A_NUMBER, SYNTAX, refuse, wrong_arity};
use super::sorted_set::SortedSet;
use super::table::Table;
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

pub(super) fn zcard(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key] = args else { return Err(wrong_arity("zcard")) };
    Ok(count(table.sorted_set(key)?.map_or(0, |set| set.len())))
}

pub(super) fn zscore(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, member] = args else { return Err(wrong_arity("zscore")) };
    let score = table.sorted_set(key)?.and_then(|set| set.score(member));
    Ok(score.map_or(Reply::Nil, score_reply))
}

pub(super) fn zrem(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, members @ ..] = args else { return Err(wrong_arity("zrem")) };
    let Some(set) = table.sorted_set(key)? else { return Ok(Reply::Int(0)) };
    let removed = members.iter().filter(|member| set.remove(member)).count();
    if set.is_empty() {
        table.remove(key);
    }
    Ok(count(removed))
}

pub(super) fn zadd(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, rest @ ..] = args else { return Err(wrong_arity("zadd")) };
    let (options, pairs) = AddOptions::parse(rest);
    if pairs.is_empty() || pairs.len() % 2 != 0 {
        return refuse(SYNTAX);
    }
    options.check(pairs.len() / 2)?;
    let mut additions = Vec::with_capacity(pairs.len() / 2);
    for pair in pairs.chunks_exact(2) {
        let [score, member] = pair else { continue };
        additions.push((number::score(score)?, member));
    }
    // Looked for first: with XX an absent set must stay absent.
    if table.sorted_set(key)?.is_none() && options.present {
        return Ok(if options.increment { Reply::Nil } else { Reply::Int(0) });
    }
    let set = table.sorted_set_or_new(key)?;
    let (mut added, mut changed) = (0, 0);
    for (score, member) in additions {
        let outcome = options.apply(set, member, score)?;
        if options.increment {
            return Ok(outcome.score().map_or(Reply::Nil, score_reply));
        }
        added += usize::from(matches!(outcome, Outcome::Added(_)));
        changed += usize::from(matches!(outcome, Outcome::Changed(_)));
    }
    Ok(count(if options.count_changed { added + changed } else { added }))
}

/// A number of members.
pub(super) fn count(members: usize) -> Reply {
    Reply::Int(i64::try_from(members).unwrap_or(i64::MAX))
}

/// A score as RESP2 has it: text.
pub(super) fn score_reply(score: f64) -> Reply {
    Reply::Bulk(Bytes::from(number::written(score)))
}

enum Outcome {
    Added(f64),
    Changed(f64),
    Same(f64),
    Skipped,
}

impl Outcome {
    fn score(&self) -> Option<f64> {
        match self {
            Outcome::Added(score) | Outcome::Changed(score) | Outcome::Same(score) => Some(*score),
            Outcome::Skipped => None,
        }
    }
}

#[derive(Default)]
struct AddOptions {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
    count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// Splits the options from the pairs of score and member that follow them.
    fn parse(args: &[Bytes]) -> (AddOptions, &[Bytes]) {
        let mut options = AddOptions::default();
        let mut rest = args;
        while let [option, after @ ..] = rest {
            let flag = match option.to_ascii_uppercase().as_slice() {
                b"NX" => &mut options.absent,
                b"XX" => &mut options.present,
                b"GT" => &mut options.greater,
                b"LT" => &mut options.less,
                b"CH" => &mut options.count_changed,
                b"INCR" => &mut options.increment,
                _ => break,
            };
            *flag = true;
            rest = after;
        }
        (options, rest)
    }

    fn check(&self, pairs: usize) -> Result<(), Refusal> {
        if self.absent && self.present {
            return refuse("ERR XX and NX options at the same time are not compatible");
        }
        if (self.greater || self.less) && self.absent || self.greater && self.less {
            return refuse("ERR GT, LT, and/or NX options at the same time are not compatible");
        }
        if self.increment && pairs > 1 {
            return refuse("ERR INCR option supports a single increment-element pair");
        }
        Ok(())
    }

    fn apply(&self, set: &mut SortedSet, member: &Bytes, given: f64) -> Result<Outcome, Refusal> {
        let Some(current) = set.score(member) else {
            if self.present {
                return Ok(Outcome::Skipped);
            }
            set.put(member, given);
            return Ok(Outcome::Added(given));
        };
        if self.absent {
            return Ok(Outcome::Skipped);
        }
        let score = if self.increment { given + current } else { given };
        if score.is_nan() {
            return refuse(NOT_A_NUMBER);
        }
        if self.less && score >= current || self.greater && score <= current {
            return Ok(Outcome::Skipped);
        }
        if score == current {
            return Ok(Outcome::Same(score));
        }
        set.put(member, score);
        Ok(Outcome::Changed(score))
    }
}
