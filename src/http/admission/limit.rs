//! How many requests may be in flight, learned from how long they take: additive increase, multiplicative
//! decrease, as TCP's congestion control does it (RFC 5681).
//!
//! A fixed number is right for one kind of request only: a thousand light ones in flight end in
//! milliseconds, a thousand heavy ones all end after their callers have gone. Growth is clocked by what was
//! served, so that it adds at most half of what the server can do; what was late shrinks the limit only if
//! the request came when many were in flight, for else it waited for something else than its like. When
//! nothing was served in time any more, it begins anew from below, as TCP does after a timeout: requests
//! that came together are late together, and a tenth for each such wave would take many of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The limit shrinks at most once in so many milliseconds.
const PAUSE: u64 = 100;

/// A number between two bounds.
#[derive(Debug)]
pub(super) struct Limit {
    least: u32,
    most: u32,
    late: Duration,
    /// Twice the limit: two slots that were used well make it one more.
    halves: AtomicU32,
    /// When it shrank last and when a request was served in time last, in milliseconds.
    shrunk: AtomicU64,
    good: AtomicU64,
}

impl Limit {
    /// Begins at `most`. A request that takes longer than `late` is late.
    pub(super) fn new(least: u32, most: u32, late: Duration) -> Self {
        let (most, halves) = (most.min(u32::MAX / 4), AtomicU32::new(most.min(u32::MAX / 4) * 2));
        let (shrunk, good) = (AtomicU64::new(0), AtomicU64::new(0));
        Limit { least: least.min(most), most, late, halves, shrunk, good }
    }

    /// The limit now.
    pub(super) fn now(&self) -> u32 {
        (self.halves.load(Relaxed) / 2).min(self.most)
    }

    /// The bound above.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// A request that had so many slots ended at `at` (any clock that only goes on); none where it was not
    /// served. It came in a crowd or not.
    pub(super) fn observe(&self, took: Duration, served: u32, in_a_crowd: bool, at: Duration) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let at = millis(at);
        if took <= self.late {
            if served > 0 && self.good.load(Relaxed) != at {
                self.good.store(at, Relaxed);
            }
            if self.halves.load(Relaxed) < self.most * 2 {
                self.halves.fetch_add(served.min(self.most), Relaxed);
            }
        } else if in_a_crowd {
            let last = self.shrunk.load(Relaxed);
            let due = at >= last.saturating_add(PAUSE);
            if due && self.shrunk.compare_exchange(last, at, Relaxed, Relaxed).is_ok() {
                let halves = self.halves.load(Relaxed);
                let is_stuck = at.saturating_sub(self.good.load(Relaxed)) > millis(self.late);
                let less = if is_stuck { 0 } else { halves - halves.div_ceil(10) };
                self.halves.store(less.max(self.least * 2), Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_millis(1001);
    const GOOD: Duration = Duration::from_millis(1000);

    fn limit() -> Limit {
        Limit::new(8, 1024, GOOD)
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn late_requests_shrink_it_by_a_tenth_and_at_most_once_in_100_ms() {
        let limit = limit();
        limit.observe(GOOD, 1, true, at(900));
        for millis in [1000, 1001, 1099] {
            limit.observe(LATE, 1, true, at(millis));
            assert_eq!(limit.now(), 921, "at {millis}");
        }
        limit.observe(LATE, 0, true, at(1100));
        assert_eq!(limit.now(), 829);
    }

    #[test]
    fn when_nothing_is_served_in_time_any_more_it_begins_from_below() {
        let limit = limit();
        limit.observe(GOOD, 1, true, at(1000));
        limit.observe(LATE, 0, true, at(2000));
        assert_eq!(limit.now(), 921);
        limit.observe(GOOD, 0, true, at(2050));
        limit.observe(LATE, 0, true, at(2100));
        assert_eq!(limit.now(), 8);
    }

    #[test]
    fn it_stays_between_its_bounds() {
        let limit = limit();
        for step in 1..1000 {
            limit.observe(LATE, 0, true, at(step * 100));
        }
        assert_eq!(limit.now(), 8);
        for _ in 0..5000 {
            limit.observe(GOOD, 1, true, at(0));
        }
        assert_eq!(limit.now(), 1024);
        assert_eq!(Limit::new(8, 3, GOOD).now(), 3, "the bound above wins");
    }

    #[test]
    fn two_requests_that_were_served_in_time_make_it_one_more_and_no_others() {
        let limit = limit();
        limit.observe(LATE, 1, true, at(2000));
        assert_eq!(limit.now(), 8);
        limit.observe(GOOD, 0, true, at(2001));
        limit.observe(GOOD, 0, true, at(2002));
        assert_eq!(limit.now(), 8, "what was refused or failed shows nothing");
        limit.observe(GOOD, 1, false, at(2003));
        limit.observe(GOOD, 1, false, at(2004));
        assert_eq!(limit.now(), 9);
    }

    #[test]
    fn what_is_late_without_a_crowd_does_not_shrink_it() {
        let limit = limit();
        for step in 1..100 {
            limit.observe(LATE, 0, false, at(step * 100));
        }
        assert_eq!(limit.now(), 1024);
    }

    /// A server that does `per_second` requests and works on all that it let in alike, before more callers
    /// than it will ever serve, who go away after 2 s. Tells the part of its capacity that was not wasted on
    /// them, from the fifth second to the fifteenth.
    fn goodput(limit: &Limit, per_second: u32) -> f64 {
        const STEP: u64 = 2;
        let (mut in_flight, mut served) = (Vec::<(u64, f64)>::new(), 0_u32);
        for now in (0..15_000).step_by(STEP as usize) {
            while (in_flight.len() as u32) < limit.now() {
                in_flight.push((now, 0.0));
            }
            let each = f64::from(per_second) * (STEP as f64 / 1000.0) / in_flight.len() as f64;
            in_flight.retain_mut(|(came, done)| {
                *done += each;
                let (is_done, is_gone) = (*done >= 1.0, now - *came >= 2000);
                if is_done || is_gone {
                    limit.observe(at(now - *came), u32::from(is_done), true, at(now));
                }
                served += u32::from(is_done && now >= 5000);
                !is_done && !is_gone
            });
        }
        f64::from(served) / (f64::from(per_second) * 10.0)
    }

    #[test]
    fn an_overloaded_server_goes_on_answering_in_time_whatever_it_can_do() {
        for per_second in [20, 100, 400, 2000] {
            let limit = limit();
            let part = goodput(&limit, per_second);
            assert!(part >= 0.9, "{per_second}/s: {part}, limit {}", limit.now());
        }
        assert!(goodput(&Limit::new(1024, 1024, GOOD), 400) < 0.1, "without its movements nearly all is wasted");
    }

    #[test]
    fn after_a_black_hole_it_is_back_in_well_under_a_second() {
        let limit = limit();
        for step in 1..100 {
            limit.observe(LATE, 0, true, at(step * 100));
        }
        assert_eq!(limit.now(), 8);
        // Requests of 2 ms, as many at a time as are let in.
        let mut millis = 0;
        while limit.now() < 512 {
            for _ in 0..limit.now() {
                limit.observe(at(2), 1, true, at(10_000 + millis));
            }
            millis += 2;
        }
        assert!(millis < 100, "{millis}");
    }
}
