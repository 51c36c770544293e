//! Ranges of a sorted set: ZRANGE, by index, score or bytes, ZCOUNT and ZREMRANGEBYSCORE.

use super::number;
use super::refusal::{Answer, NOT_A_LEX_RANGE, NOT_A_SCORE_RANGE, SYNTAX, refuse, wrong_arity};
use super::sorted_set::{LexBound, LexRange, ScoreRange, SortedSet};
use super::sorted_sets::{count, score_reply};
use super::table::Table;
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

pub(super) fn zcount(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, from, to] = args else { return Err(wrong_arity("zcount")) };
    let range = scores(from, to)?;
    Ok(count(table.sorted_set(key)?.map_or(0, |set| set.by_score(&range).count())))
}

pub(super) fn zremrangebyscore(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, from, to] = args else { return Err(wrong_arity("zremrangebyscore")) };
    let range = scores(from, to)?;
    let Some(set) = table.sorted_set(key)? else { return Ok(Reply::Int(0)) };
    let found: Vec<Bytes> = set.by_score(&range).map(|(member, _)| member.clone()).collect();
    let removed = found.iter().filter(|member| set.remove(member)).count();
    if set.is_empty() {
        table.remove(key);
    }
    Ok(count(removed))
}

pub(super) fn zrange(table: &mut Table, args: &[Bytes]) -> Answer {
    let [_, key, from, to, options @ ..] = args else { return Err(wrong_arity("zrange")) };
    let options = RangeOptions::parse(options)?;
    let range = options.range(from, to)?;
    let Some(set) = table.sorted_set(key)? else { return Ok(Reply::Array(Vec::new())) };
    Ok(Reply::Array(options.select(set, &range)))
}

enum Range {
    Index(i64, i64),
    Score(ScoreRange),
    Lex(LexRange),
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Score,
    Bytes,
}

#[derive(Default)]
struct RangeOptions {
    by: Option<By>,
    descending: bool,
    with_scores: bool,
    offset: i64,
    limit: Option<i64>,
}

impl RangeOptions {
    fn parse(args: &[Bytes]) -> Result<RangeOptions, Refusal> {
        let mut options = RangeOptions::default();
        let mut rest = args;
        while let [option, after @ ..] = rest {
            rest = after;
            match (option.to_ascii_uppercase().as_slice(), after) {
                (b"WITHSCORES", _) => options.with_scores = true,
                (b"LIMIT", [offset, limit, after @ ..]) => {
                    options.offset = number::integer(offset)?;
                    // -1 is no limit, as if nothing had been said.
                    options.limit = Some(number::integer(limit)?).filter(|limit| *limit != -1);
                    rest = after;
                }
                (b"REV", _) if !options.descending => options.descending = true,
                (b"BYSCORE", _) if options.by.is_none() => options.by = Some(By::Score),
                (b"BYLEX", _) if options.by.is_none() => options.by = Some(By::Bytes),
                _ => return refuse(SYNTAX),
            }
        }
        if options.limit.is_some() && options.by.is_none() {
            return refuse("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
        }
        if options.with_scores && options.by == Some(By::Bytes) {
            return refuse("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        }
        Ok(options)
    }

    fn range(&self, first: &Bytes, second: &Bytes) -> Result<Range, Refusal> {
        let (from, to) = if self.descending { (second, first) } else { (first, second) };
        Ok(match self.by {
            None => Range::Index(number::integer(first)?, number::integer(second)?),
            Some(By::Score) => Range::Score(scores(from, to)?),
            Some(By::Bytes) => Range::Lex(LexRange { from: lex_bound(from)?, to: lex_bound(to)? }),
        })
    }

    fn select(&self, set: &SortedSet, range: &Range) -> Vec<Reply> {
        match range {
            Range::Index(from, to) => {
                let Some((skip, take)) = indexes(*from, *to, set.len()) else { return Vec::new() };
                if self.descending {
                    self.replies(set.all().rev().skip(skip).take(take))
                } else {
                    self.replies(set.all().skip(skip).take(take))
                }
            }
            Range::Score(range) if self.descending => self.page(set.by_score(range).rev()),
            Range::Score(range) => self.page(set.by_score(range)),
            Range::Lex(range) => self.page(set.by_bytes(range, self.descending)),
        }
    }

    /// What `LIMIT` leaves: nothing after a negative offset, everything under a negative limit.
    fn page<'a>(&self, items: impl Iterator<Item = (&'a Bytes, f64)>) -> Vec<Reply> {
        let Ok(offset) = usize::try_from(self.offset) else { return Vec::new() };
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        self.replies(items.skip(offset).take(limit))
    }

    fn replies<'a>(&self, items: impl Iterator<Item = (&'a Bytes, f64)>) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (member, score) in items {
            replies.push(Reply::Bulk(member.clone()));
            if self.with_scores {
                replies.push(score_reply(score));
            }
        }
        replies
    }
}

/// Where a range by index starts and how many it takes; negative indexes count from the end.
fn indexes(from: i64, to: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).ok()?;
    let absolute = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let from = absolute(from).max(0);
    let to = absolute(to).min(len - 1);
    let take = usize::try_from(to.checked_sub(from)?.checked_add(1)?).ok()?;
    Some((usize::try_from(from).ok()?, take))
}

fn scores(from: &[u8], to: &[u8]) -> Result<ScoreRange, Refusal> {
    let parse = |bytes: &[u8]| {
        let (text, excluded) = bytes.strip_prefix(b"(").map_or((bytes, false), |rest| (rest, true));
        number::bound(text).map(|score| (score, excluded))
    };
    match (parse(from), parse(to)) {
        (Some((from, from_excluded)), Some((to, to_excluded))) => {
            Ok(ScoreRange { from, from_excluded, to, to_excluded })
        }
        _ => refuse(NOT_A_SCORE_RANGE),
    }
}

fn lex_bound(bytes: &Bytes) -> Result<LexBound, Refusal> {
    match bytes.first() {
        Some(b'-') if bytes.len() == 1 => Ok(LexBound::Lowest),
        Some(b'+') if bytes.len() == 1 => Ok(LexBound::Highest),
        Some(b'[') => Ok(LexBound::Included(bytes.slice(1..))),
        Some(b'(') => Ok(LexBound::Excluded(bytes.slice(1..))),
        _ => refuse(NOT_A_LEX_RANGE),
    }
}
