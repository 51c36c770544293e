//! A sorted set: members by name, and in order of score, then bytes.
//!
//! A range by score, and a range by bytes over members of one score, is found in logarithmic time. A range
//! by index walks to its start from the nearer end; Redis, whose lists know their widths, does not.

use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

/// A score: never NaN, and 0 equals -0.
#[derive(Clone, Copy)]
struct Score(f64);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

/// Members with their scores.
#[derive(Default)]
pub(super) struct SortedSet {
    scores: HashMap<Bytes, f64>,
    order: BTreeSet<(Score, Bytes)>,
}

/// Scores from one to another, each end counted or not.
pub(super) struct ScoreRange {
    pub from: f64,
    pub from_excluded: bool,
    pub to: f64,
    pub to_excluded: bool,
}

/// One end of a range by bytes.
#[derive(Clone)]
pub(super) enum LexBound {
    Lowest,
    Highest,
    Included(Bytes),
    Excluded(Bytes),
}

/// Members from one to another by their bytes.
pub(super) struct LexRange {
    pub from: LexBound,
    pub to: LexBound,
}

impl LexRange {
    /// Whether nothing can lie in it, whatever the set.
    fn is_empty(&self) -> bool {
        use LexBound::{Excluded, Highest, Included, Lowest};
        match (&self.from, &self.to) {
            (Highest, _) | (_, Lowest) => true,
            (Lowest, _) | (_, Highest) => false,
            (Included(from), Included(to)) => from > to,
            (Included(from) | Excluded(from), Included(to) | Excluded(to)) => from >= to,
        }
    }

    fn starts_by(&self, member: &[u8]) -> bool {
        match &self.from {
            LexBound::Lowest => true,
            LexBound::Highest => false,
            LexBound::Included(from) => member >= &from[..],
            LexBound::Excluded(from) => member > &from[..],
        }
    }

    fn ends_after(&self, member: &[u8]) -> bool {
        match &self.to {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Included(to) => member <= &to[..],
            LexBound::Excluded(to) => member < &to[..],
        }
    }
}

type Item<'a> = (&'a Bytes, f64);

fn item((score, member): &(Score, Bytes)) -> Item<'_> {
    (member, score.0)
}

impl SortedSet {
    /// How many members there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Puts a member in, or elsewhere.
    pub fn put(&mut self, member: &Bytes, score: f64) {
        if let Some(old) = self.scores.insert(member.clone(), score) {
            self.order.remove(&(Score(old), member.clone()));
        }
        self.order.insert((Score(score), member.clone()));
    }

    /// Takes a member out: whether it was in.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else { return false };
        self.order.remove(&(Score(score), member))
    }

    /// All members, lowest score first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = Item<'_>> {
        self.order.iter().map(item)
    }

    /// The members whose scores lie in a range, lowest first.
    pub fn by_score(&self, range: &ScoreRange) -> impl DoubleEndedIterator<Item = Item<'_>> + use<'_> {
        let at = |score: f64| (Score(score), Bytes::new());
        // The end of all members of a score is the start of those of the next larger number.
        let after = |score: f64| if score == f64::INFINITY { None } else { Some(at(score.next_up())) };
        let from = if range.from_excluded { after(range.from) } else { Some(at(range.from)) };
        let to = if range.to_excluded { Some(at(range.to)) } else { after(range.to) };
        let found = from.map(|from| (from, to)).filter(|(from, to)| to.as_ref().is_none_or(|to| from <= to));
        found
            .map(|(from, to)| self.order.range((Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded))))
            .into_iter()
            .flatten()
            .map(item)
    }

    /// The members whose bytes lie in a range, in ascending or descending order. If scores differ, the order
    /// of the set does not follow the bytes, and the answer is what Redis finds on its walk: from the first
    /// member in the range to the first one outside.
    pub fn by_bytes<'a>(&'a self, range: &'a LexRange, descending: bool) -> Box<dyn Iterator<Item = Item<'a>> + 'a> {
        let (Some(first), Some(last)) = (self.order.first(), self.order.last()) else {
            return Box::new(std::iter::empty());
        };
        if range.is_empty() || !range.starts_by(&last.1) || !range.ends_after(&first.1) {
            return Box::new(std::iter::empty());
        }
        if first.0 == last.0 {
            let end = |bound: &LexBound| match bound {
                LexBound::Lowest | LexBound::Highest => Bound::Unbounded,
                LexBound::Included(member) => Bound::Included((first.0, member.clone())),
                LexBound::Excluded(member) => Bound::Excluded((first.0, member.clone())),
            };
            let found = self.order.range((end(&range.from), end(&range.to))).map(item);
            return if descending { Box::new(found.rev()) } else { Box::new(found) };
        }
        if descending {
            let walk = self.all().rev().skip_while(|(member, _)| !range.ends_after(member));
            Box::new(walk.take_while(|(member, _)| range.starts_by(member)))
        } else {
            let walk = self.all().skip_while(|(member, _)| !range.starts_by(member));
            Box::new(walk.take_while(|(member, _)| range.ends_after(member)))
        }
    }
}
