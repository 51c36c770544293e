//! The state of a breaker as it is stored, read without changing anything: `prelude.lua` has the same form and the same
//! rule of what time alone changes.

use super::types::{Breaker, CallOutcome, Counters, Failure, ForcedBy, Policy, State, Transition};
use crate::base::clock::Timestamp;
use crate::base::text::Name;

/// Any text as a part of one line.
pub(super) fn line(text: &str) -> String {
    text.replace('%', "%25").replace('\n', "%0A")
}

fn unline(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl State {
    /// Reads what [`State::as_str`] gave.
    pub(super) fn parse(text: &str) -> Option<State> {
        State::ALL.iter().copied().find(|state| state.as_str() == text)
    }
}

/// The changes in a path of states (`open half_open closed`).
pub(super) fn transitions(path: &str) -> Vec<Transition> {
    let states: Vec<State> = path.split(' ').filter_map(State::parse).collect();
    states.iter().zip(states.iter().skip(1)).map(|(from, to)| Transition { from: *from, to: *to }).collect()
}

/// A moment of the state text; 0 is none.
pub(super) fn moment(millis: u64) -> Option<Timestamp> {
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

/// The breaker of this state text as it is at `now`. What is not stored, or cannot be read, is closed. `policy` is its
/// own, `defaults` holds without one.
pub(super) fn breaker(name: Name, stored: &str, now: u64, policy: Option<Policy>, defaults: &Policy) -> Breaker {
    let (head, lines) = stored.split_once('\n').unwrap_or((stored, ""));
    let state = head
        .split_once(" since=")
        .filter(|(_, since)| since.starts_with(|first: char| first.is_ascii_digit()))
        .and_then(|(state, _)| State::parse(state));
    let number = |wanted: &str| {
        let mut pairs = head.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).and_then(|(_, number)| number.parse::<u64>().ok()).unwrap_or(0)
    };
    let lines = || lines.split('\n').filter_map(|line| line.split_once(' ')).take_while(|_| state.is_some());
    let of = |kind: &'static str| lines().filter(move |(word, _)| *word == kind).map(|(_, rest)| rest);
    let mut breaker = Breaker {
        name,
        state: state.unwrap_or(State::Closed),
        since: moment(number("since")),
        next_change: moment(number("ends")),
        counters: Counters::default(),
        last_failures: of("failure").filter_map(failure).collect(),
        forced: None,
        policy,
    };
    if breaker.next_change.is_some_and(|end| end.as_millis() <= now) {
        let was_open = breaker.state == State::Open;
        breaker.state = if was_open { State::HalfOpen } else { State::Closed };
        breaker.since = breaker.next_change.take();
        breaker.counters.times_opened = if was_open { number("opened") } else { 0 };
        return breaker;
    }
    breaker.forced = of("actor").next().map(|actor| ForcedBy {
        actor: unline(actor),
        reason: of("reason").next().map(unline),
        until: breaker.next_change,
    });
    let policy = policy.as_ref().unwrap_or(defaults);
    let window = policy.window_millis();
    let in_window = |moment: u64| window.is_some_and(|window| moment <= now && moment.saturating_add(window) > now);
    let instances = of("instance").filter_map(numbers_after_word::<2>);
    breaker.counters = Counters {
        consecutive_failures: number("row"),
        successes: number("successes"),
        probes: of("probe").filter_map(probe_end).filter(|end| *end > now).count() as u64,
        failing_instances: instances.filter(|[at, in_row]| *in_row == 1 || in_window(*at)).count() as u64,
        times_opened: number("opened"),
        ..Counters::default()
    };
    for [start, calls, failures, slow] in of("bucket").filter_map(numbers) {
        if in_window(policy.bucket_of(start)) {
            breaker.counters.calls += calls;
            breaker.counters.failures += failures;
            breaker.counters.slow_calls += slow;
        }
    }
    breaker
}

fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    text.split(' ').map(|number| number.parse().ok()).collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn numbers_after_word<const N: usize>(text: &str) -> Option<[u64; N]> {
    numbers(text.split_once(' ')?.1)
}

fn probe_end(text: &str) -> Option<u64> {
    text.split(' ').nth(1)?.parse().ok()
}

fn failure(text: &str) -> Option<Failure> {
    let mut parts = text.splitn(4, ' ');
    Some(Failure {
        at: Timestamp::from_millis(parts.next()?.parse().ok()?),
        outcome: match parts.next()? {
            "failure" => CallOutcome::Failure,
            "timeout" => CallOutcome::Timeout,
            _ => return None,
        },
        count: parts.next()?.parse().ok()?,
        instance: parts.next().and_then(|instance| Name::parse(instance).ok()),
    })
}
