//! What goes in and out of the circuit breaker store.

use crate::base::clock::Timestamp;
use crate::base::id::NoRandomness;
use crate::base::text::Name;
use crate::db;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether calls may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They do, and failures are counted.
    Closed,
    /// They do not, until the open time is over.
    Open,
    /// A few do, to see how they fare.
    HalfOpen,
    /// They do not, because somebody said so.
    ForcedOpen,
    /// They do, because somebody said so; reports are counted and open nothing.
    ForcedClosed,
    /// They do, and reports are not counted.
    Disabled,
}

impl State {
    /// All of them.
    pub const ALL: &'static [State] =
        &[State::Closed, State::Open, State::HalfOpen, State::ForcedOpen, State::ForcedClosed, State::Disabled];

    /// Its name in the API and in what is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
            State::ForcedOpen => "forced_open",
            State::ForcedClosed => "forced_closed",
            State::Disabled => "disabled",
        }
    }
}

/// When a breaker opens, and how it closes again. Rates are in millionths, so that they are exact in the numbers of Lua.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many failures in a row open it; nothing: a row of failures does not.
    pub failure_threshold: Option<u32>,
    /// So many successful probes close it.
    pub success_threshold: u32,
    /// How long it is open.
    pub timeout: Duration,
    /// By what that time grows each time that a probe fails, in thousandths; 1000 is not at all.
    pub timeout_multiplier_millis: u32,
    /// The longest that it grows to.
    pub timeout_max: Duration,
    /// The part of that time, in thousandths, by which chance makes it longer, so that callers do not come back in step.
    pub timeout_jitter_millis: u32,
    /// Over the last so long the rates are judged; nothing: they are not.
    pub window: Option<Duration>,
    /// Fewer calls than these in the window open nothing.
    pub minimum_calls: u32,
    /// This part of the calls failing opens it, in millionths.
    pub failure_rate: u32,
    /// A call that took so long was slow.
    pub slow_call_duration: Option<Duration>,
    /// This part of the calls being slow opens it, in millionths.
    pub slow_call_rate: u32,
    /// How many probes may be under way at a time.
    pub half_open_permits: u32,
    /// How long a probe may take until its permit is given to another.
    pub permit_ttl: Duration,
    /// It opens only when so many instances have reported failures.
    pub trip_quorum: u32,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// It was given up; a failure.
    Timeout,
}

/// How calls went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How.
    pub outcome: CallOutcome,
    /// How long one took.
    pub duration: Option<Duration>,
    /// What [`Acquired::permit`] said; without one the report is about the state that there is.
    pub permit: Option<Name>,
    /// How many calls went so: 1 to 1,000,000.
    pub count: u32,
    /// Which of the caller's instances tells.
    pub instance: Option<Name>,
}

/// The answer to whoever asks before a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// Whether the call may be made.
    pub allowed: bool,
    /// The state after the question.
    pub state: State,
    /// What to send with the report, where the call may be made.
    pub permit: Option<Name>,
    /// Until it is worth asking again; zero when it may be made.
    pub retry_after: Duration,
    /// Whether it may not be made until further notice: then nobody knows, and that is only a time to ask again.
    pub until_further_notice: bool,
}

/// When to ask again where calls are denied until further notice.
pub(super) const FURTHER_NOTICE: Duration = Duration::from_secs(60);

/// What is wanted by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    /// No call passes.
    Open,
    /// Every call passes.
    Closed,
    /// Every call passes, and nothing is counted.
    Disabled,
    /// The breaker decides again, from closed.
    Auto,
}

/// A state by hand: who wants it, why, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Force {
    /// Which.
    pub state: Forced,
    /// Why.
    pub reason: Option<String>,
    /// Who: `admin`, or the id of an API key.
    pub actor: String,
    /// For how long; until further notice without one.
    pub ttl: Option<Duration>,
}

/// By whom a state was forced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForcedBy {
    /// `admin`, or the id of an API key.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A failure that was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// `failure` or `timeout`.
    pub outcome: CallOutcome,
    /// How many calls.
    pub count: u32,
    /// By which instance.
    pub instance: Option<Name>,
}

/// What is counted. All are since the state changed last, and those of the window within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Counters {
    /// Failures in a row, while closed.
    pub consecutive_failures: u64,
    /// Successful probes, while half open.
    pub successes: u64,
    /// Probes under way, while half open.
    pub probes: u64,
    /// Distinct instances that have reported failures.
    pub failing_instances: u64,
    /// How often it has opened since it was closed last: the open time grows with it.
    pub times_opened: u64,
    /// Calls in the window.
    pub calls: u64,
    /// Failed ones in the window.
    pub failures: u64,
    /// Slow ones in the window.
    pub slow_calls: u64,
}

/// A breaker as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Its name.
    pub name: Name,
    /// The state now; an open one whose time is over is half open.
    pub state: State,
    /// Since when; nothing if it never changed.
    pub since: Option<Timestamp>,
    /// When it changes by itself: the end of the open time, or of a forced state.
    pub next_change: Option<Timestamp>,
    /// What is counted.
    pub counters: Counters,
    /// The last failures, newest first, at most five.
    pub last_failures: Vec<Failure>,
    /// By whom it was forced, if it was.
    pub forced: Option<ForcedBy>,
    /// The settings that were given it; nothing where the defaults hold.
    pub policy: Option<Policy>,
}

/// A change of state. Of all callers, the one whose call made it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From.
    pub from: State,
    /// To.
    pub to: State,
}

/// What nobody can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The backend could not be asked.
    #[error(transparent)]
    Backend(#[from] db::Error),
    /// The tenant has as many breakers as it may; nothing was written.
    #[error("the tenant has too many circuit breakers")]
    TooMany,
    /// No identifier can be made.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Self {
        Error::NoRandomness
    }
}
