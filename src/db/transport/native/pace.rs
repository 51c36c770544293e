//! How often a backend may be dialled: one that is away, or that drops whoever comes, is not helped by a
//! storm, and one that is back is not to be kept waiting.
//!
//! While the last attempt failed there is one at a time, and not two within 200 ms and a little more; the
//! first that succeeds opens the way for all at once. Those that succeed take a token each of a bucket that
//! holds one for every place and gains five a second: connections that are lost as soon as they are opened
//! cost no more than that. An attempt that fails gives its token back, so that an outage leaves enough for
//! everybody when it ends.

use crate::base::id;
use crate::db::error::{Delivery, Error, ErrorKind};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts while they fail, and between two tokens.
const SPACING: Duration = Duration::from_millis(200);
/// The most that is added to the pause after a failed attempt, so that servers do not come in step.
pub(super) const JITTER: Duration = Duration::from_millis(10);

/// The pace of all dialling to one backend.
pub(super) struct Pace {
    /// How long the empty bucket takes to fill.
    room: Duration,
    state: Mutex<State>,
}

struct State {
    /// When the bucket will be full.
    full_at: Instant,
    failed: Option<Failed>,
}

/// The last attempt failed.
struct Failed {
    error: Error,
    next: Instant,
    is_being_tried: bool,
}

/// Why nobody may dial now.
pub(super) struct TooSoon {
    /// What the last attempt found.
    pub(super) error: Error,
    /// How long until it may be tried, where that is known.
    pub(super) left: Option<Duration>,
}

/// An attempt under way. One that is dropped has failed.
pub(super) struct Attempt {
    pace: Arc<Pace>,
    begun: Instant,
    is_over: bool,
}

impl Pace {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let room = SPACING.saturating_mul(u32::try_from(places).unwrap_or(u32::MAX));
        Arc::new(Pace { room, state: Mutex::new(State { full_at: Instant::now(), failed: None }) })
    }

    /// Begins an attempt at `now`, or says why not.
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> Result<Attempt, TooSoon> {
        let mut state = self.state.lock();
        let full_at = state.full_at.max(now) + SPACING;
        let lacks = full_at.saturating_duration_since(now).saturating_sub(self.room);
        if let Some(failed) = &mut state.failed {
            let left = failed.next.saturating_duration_since(now).max(lacks);
            if failed.is_being_tried || !left.is_zero() {
                let left = (!failed.is_being_tried).then_some(left);
                return Err(TooSoon { error: failed.error.clone(), left });
            }
            failed.is_being_tried = true;
        } else if !lacks.is_zero() {
            return Err(TooSoon { error: unreachable(), left: Some(lacks) });
        }
        state.full_at = full_at;
        Ok(Attempt { pace: self.clone(), begun: now, is_over: false })
    }
}

impl Attempt {
    /// Tells how it ended.
    pub(super) fn ended(mut self, failure: Option<&Error>) {
        match failure {
            None => {
                self.is_over = true;
                self.pace.state.lock().failed = None;
            }
            Some(error) => self.failed(error.clone()),
        }
    }

    fn failed(&mut self, error: Error) {
        self.is_over = true;
        let mut state = self.pace.state.lock();
        let mut next = self.begun + SPACING + id::random_part(JITTER);
        if let Some(failed) = &state.failed {
            next = next.max(failed.next);
        }
        // An instant before its own time does no harm: the bucket is then full.
        state.full_at = state.full_at.checked_sub(SPACING).unwrap_or(state.full_at);
        state.failed = Some(Failed { error, next, is_being_tried: false });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_over {
            self.failed(unreachable());
        }
    }
}

pub(super) fn unreachable() -> Error {
    Error::new(ErrorKind::Unreachable, Delivery::NotSent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_backend_that_is_away_is_tried_at_most_five_times_a_second_and_one_at_a_time() {
        let (pace, start) = (Pace::new(16), Instant::now());
        let first: Vec<Attempt> = (0..3).map(|_| pace.begin(start).ok().unwrap()).collect();
        first.into_iter().for_each(|attempt| attempt.ended(Some(&unreachable())));
        let mut attempts = 0;
        for milli in 1..=10_000 {
            let now = start + MILLI * milli;
            let Ok(attempt) = pace.begin(now) else { continue };
            attempts += 1;
            let other = pace.begin(now).err().unwrap();
            assert!(other.left.is_none(), "one is under way");
            drop(attempt);
            let left = pace.begin(now).err().unwrap().left.unwrap();
            assert!((SPACING..=SPACING + JITTER).contains(&left), "{left:?}");
        }
        assert!((44..=50).contains(&attempts), "{attempts} in ten seconds");
    }

    #[test]
    fn the_first_that_succeeds_opens_the_way_for_all_however_long_it_took() {
        for workers in [2, 4, 8, 16] {
            let (pace, mut now) = (Pace::new(workers), Instant::now());
            for _ in 0..workers {
                pace.begin(now).ok().unwrap().ended(None);
            }
            now += 4 * SECOND;
            // All are lost at once, all come at once, and nobody is there for a minute.
            let all: Vec<Attempt> = (0..workers).map(|_| pace.begin(now).ok().unwrap()).collect();
            drop(all);
            for _ in 0..60 * 4 {
                now += SPACING + JITTER;
                drop(pace.begin(now).ok().unwrap());
            }
            now += SPACING + JITTER;
            let back = pace.begin(now).ok().unwrap();
            back.ended(None);
            for _ in 1..workers {
                pace.begin(now).ok().unwrap().ended(None);
            }
        }
    }

    #[test]
    fn connections_that_are_lost_as_soon_as_they_are_opened_are_bounded() {
        let (pace, start) = (Pace::new(4), Instant::now());
        let mut opened = 0;
        for milli in 0..10_000 {
            if let Ok(attempt) = pace.begin(start + MILLI * milli) {
                attempt.ended(None);
                opened += 1;
            }
        }
        assert_eq!(opened, 4 + 5 * 10 - 1);
    }

    #[test]
    fn what_the_last_attempt_found_is_what_others_are_told_meanwhile() {
        let (pace, now) = (Pace::new(1), Instant::now());
        let forbidden = Error::new(ErrorKind::Forbidden, Delivery::NotSent);
        pace.begin(now).ok().unwrap().ended(Some(&forbidden));
        assert_eq!(pace.begin(now + 100 * MILLI).err().unwrap().error, forbidden);
    }
}
