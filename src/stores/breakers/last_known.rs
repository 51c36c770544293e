//! What this process saw last of breakers that are not simply closed, for when the backend cannot be asked.
//!
//! A breaker of which nothing is known here is taken for closed: it protects somebody else, and to deny every call
//! because our own backend is away would make one outage of two. So a closed one is not remembered either, and the
//! hot path only looks that there is nothing to forget.

use super::types::State;
use crate::base::text::{Name, TenantId};
use quick_cache::sync::Cache;
use std::time::{Duration, Instant};

/// The most breakers that are remembered, of all tenants together.
const MOST: usize = 20_000;

/// Two ends so near are the same: each answer tells the time that is left at a slightly different moment.
const SAME: Duration = Duration::from_millis(100);

/// When a state ends by itself, on this process's steady clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Then.
    At(Instant),
    /// Not without being told.
    Never,
    /// Nobody said; as was known before, if it was the same state.
    Unknown,
}

/// The last known states, bounded.
pub struct LastKnown(Cache<(TenantId, Name), Seen>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    state: State,
    ends: Option<Instant>,
}

impl Seen {
    fn says(&self, other: &Seen) -> bool {
        let same_end = match (self.ends, other.ends) {
            (Some(one), Some(other)) => one.max(other).duration_since(one.min(other)) <= SAME,
            (one, other) => one == other,
        };
        self.state == other.state && same_end
    }
}

/// What is taken for the state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// The state.
    pub state: State,
    /// Until it changes by itself, if it does.
    pub changes_in: Option<Duration>,
}

impl Recalled {
    /// Whether a call may be made.
    pub fn allows(&self) -> bool {
        !matches!(self.state, State::Open | State::ForcedOpen)
    }
}

impl Default for LastKnown {
    fn default() -> Self {
        LastKnown::new(MOST)
    }
}

impl LastKnown {
    /// Remembers about `most` breakers.
    pub fn new(most: usize) -> Self {
        LastKnown(Cache::new(most))
    }

    /// A breaker was seen in this state.
    pub fn see(&self, tenant: &TenantId, name: &Name, state: State, ends: Ends) {
        let breaker = (tenant.clone(), name.clone());
        let known = self.0.get(&breaker);
        let ends = match ends {
            Ends::At(end) => Some(end),
            Ends::Never => None,
            Ends::Unknown => known.filter(|known| known.state == state).and_then(|known| known.ends),
        };
        let seen = Seen { state, ends };
        match (state, known) {
            (State::Closed, None) => {}
            (State::Closed, Some(_)) => {
                self.0.remove(&breaker);
            }
            (_, Some(known)) if known.says(&seen) => {}
            _ => self.0.insert(breaker, seen),
        }
    }

    /// What is taken for its state at `now`. One whose time is over lets calls through.
    pub fn recall(&self, tenant: &TenantId, name: &Name, now: Instant) -> Recalled {
        let lasting = |state| Recalled { state, changes_in: None };
        let Some(seen) = self.0.get(&(tenant.clone(), name.clone())) else { return lasting(State::Closed) };
        match (seen.ends, seen.state) {
            (None, state) => lasting(state),
            (Some(end), state) if end > now => Recalled { state, changes_in: Some(end.duration_since(now)) },
            (Some(_), State::Open) => lasting(State::HalfOpen),
            (Some(_), _) => lasting(State::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn what_is_not_known_is_closed_and_each_breaker_is_its_own() {
        let (known, now) = (LastKnown::default(), Instant::now());
        known.see(&tenant("acme"), &name("a"), State::ForcedOpen, Ends::Never);
        assert_eq!(known.recall(&tenant("acme"), &name("a"), now + 1000 * SECOND).state, State::ForcedOpen);
        for (id, other) in [("acme", "b"), ("other", "a")] {
            let recalled = known.recall(&tenant(id), &name(other), now);
            assert_eq!((recalled.state, recalled.allows()), (State::Closed, true));
        }
    }

    #[test]
    fn a_state_holds_until_its_time_is_over() {
        let (known, now) = (LastKnown::default(), Instant::now());
        for (state, after) in [
            (State::Open, State::HalfOpen),
            (State::ForcedOpen, State::Closed),
            (State::ForcedClosed, State::Closed),
            (State::Disabled, State::Closed),
        ] {
            known.see(&tenant("acme"), &name("a"), state, Ends::At(now + SECOND));
            let at = |time| known.recall(&tenant("acme"), &name("a"), now + time);
            assert_eq!(at(Duration::ZERO), Recalled { state, changes_in: Some(SECOND) });
            let last = SECOND - Duration::from_millis(1);
            assert_eq!(at(last), Recalled { state, changes_in: Some(Duration::from_millis(1)) });
            assert_eq!(at(last).allows(), !matches!(state, State::Open | State::ForcedOpen));
            assert_eq!(at(SECOND), Recalled { state: after, changes_in: None });
            assert!(at(SECOND).allows());
        }
    }

    #[test]
    fn what_was_seen_later_counts_and_closed_is_forgotten() {
        let (known, now) = (LastKnown::default(), Instant::now());
        let state = |at| known.recall(&tenant("acme"), &name("a"), at);
        let see = |state, ends| known.see(&tenant("acme"), &name("a"), state, ends);
        see(State::Open, Ends::At(now + SECOND));
        see(State::Open, Ends::At(now + 3 * SECOND));
        assert_eq!(state(now + 2 * SECOND).state, State::Open, "it was opened again, for longer");
        see(State::Open, Ends::Never);
        assert_eq!(state(now + 9 * SECOND).state, State::Open);
        see(State::HalfOpen, Ends::Never);
        assert_eq!(state(now), Recalled { state: State::HalfOpen, changes_in: None });
        see(State::Closed, Ends::Never);
        assert_eq!((state(now).state, known.0.len()), (State::Closed, 0));
    }

    #[test]
    fn an_end_that_nobody_said_is_the_one_that_was_known_of_this_state() {
        let (known, now) = (LastKnown::default(), Instant::now());
        let see = |state, ends| known.see(&tenant("acme"), &name("a"), state, ends);
        let changes_in = || known.recall(&tenant("acme"), &name("a"), now).changes_in;
        see(State::Disabled, Ends::At(now + SECOND));
        see(State::Disabled, Ends::Unknown);
        assert_eq!(changes_in(), Some(SECOND));
        see(State::ForcedClosed, Ends::Unknown);
        assert_eq!(changes_in(), None);
    }

    #[test]
    fn the_same_seen_again_is_not_written() {
        let (known, now) = (LastKnown::default(), Instant::now());
        let first = now + SECOND;
        known.see(&tenant("acme"), &name("a"), State::Open, Ends::At(first));
        known.see(&tenant("acme"), &name("a"), State::Open, Ends::At(now + SECOND + SAME));
        let seen = known.0.get(&(tenant("acme"), name("a"))).unwrap();
        assert_eq!(seen.ends, Some(first));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let known = LastKnown::new(100);
        for n in 0..10_000 {
            known.see(&tenant("acme"), &name(&n.to_string()), State::ForcedOpen, Ends::Never);
        }
        assert!(known.0.len() <= 200, "{}", known.0.len());
    }
}
