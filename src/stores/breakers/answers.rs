//! What answers look like: the shapes of the HTTP API, from which it is described.

use super::policy::millis;
use super::store::Reported;
use super::types::{Acquired, Breaker, Counters, Failure, ForcedBy, Policy, State};
use crate::base::clock::Timestamp;
use crate::base::text::Name;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether the call may be made.
#[derive(Serialize, JsonSchema)]
pub(super) struct AcquireAnswer {
    allowed: bool,
    state: State,
    /// What to send with the report; null where the call may not be made, or no backend was asked.
    permit: Option<Name>,
    /// Until it is worth asking again; 0 where the call may be made, 60000 where none may until further notice.
    retry_after_ms: u64,
    /// `true` where the answer is the last that this server knew, because the backend cannot be asked; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

impl AcquireAnswer {
    pub(super) fn new(acquired: Acquired, degraded: bool) -> Self {
        let Acquired { allowed, state, permit, retry_after, until_further_notice: _ } = acquired;
        AcquireAnswer { allowed, state, permit, retry_after_ms: millis(retry_after), degraded: said(degraded) }
    }
}

/// The state after a report.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReportAnswer {
    state: State,
    /// When it changes by itself, if it does.
    next_change: Option<Timestamp>,
    /// `true` where the answer is the last that this server knew, because the backend cannot be asked; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

impl ReportAnswer {
    pub(super) fn new(Reported { state, next_change }: Reported, degraded: bool) -> Self {
        ReportAnswer { state, next_change, degraded: said(degraded) }
    }
}

/// A breaker as it is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Breaker")]
pub(super) struct BreakerAnswer {
    name: Name,
    /// The state now; an open one whose time is over is half open.
    state: State,
    /// When it changes by itself: the end of the open time, or of a forced state.
    next_change: Option<Timestamp>,
    /// Until it is worth asking for a call; only where none may be made until `next_change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// All the rest; absent where the answer is degraded.
    #[serde(flatten)]
    details: Option<Details>,
    /// `true` where the answer is the last that this server knew, because the backend cannot be asked; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

/// What only the backend knows of a breaker.
#[derive(Serialize, JsonSchema)]
struct Details {
    /// Since when it is in this state; null if it never changed.
    since: Option<Timestamp>,
    counters: Counters,
    /// The last failures, newest first, at most five.
    last_failures: Vec<Failure>,
    /// By whom it was forced, if it was.
    forced: Option<ForcedBy>,
    /// The settings in force.
    settings: SettingsAnswer,
    /// Whether settings were given to it; else those in force are the defaults.
    configured: bool,
}

impl BreakerAnswer {
    /// The breaker at `now`, with the defaults where it has no settings of its own.
    pub(super) fn new(breaker: Breaker, default: &Policy, now: Timestamp, degraded: bool) -> Self {
        let Breaker { name, state, since, next_change, counters, last_failures, forced, policy } = breaker;
        let denies = matches!(state, State::Open | State::ForcedOpen);
        let details = || {
            let configured = policy.is_some();
            let settings = SettingsAnswer::new(&policy.unwrap_or(*default));
            Details { since, counters, last_failures, forced, settings, configured }
        };
        BreakerAnswer {
            name,
            state,
            next_change,
            retry_after_ms: next_change.filter(|_| denies).map(|end| millis(end.since(now))),
            details: (!degraded).then(details),
            degraded: said(degraded),
        }
    }
}

/// Settings as they are answered: all of them, null where nothing is judged by them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EffectiveBreakerSettings")]
struct SettingsAnswer {
    failure_threshold: Option<u32>,
    success_threshold: u32,
    timeout_ms: u64,
    timeout_multiplier: f64,
    timeout_max_ms: u64,
    timeout_jitter: f64,
    window_ms: Option<u64>,
    minimum_calls: Option<u32>,
    failure_rate: Option<f64>,
    slow_call_duration_ms: Option<u64>,
    slow_call_rate: Option<f64>,
    half_open_permits: u32,
    permit_ttl_ms: u64,
    trip_quorum: u32,
}

impl SettingsAnswer {
    fn new(policy: &Policy) -> Self {
        let rate = |millionths: u32| f64::from(millionths) / 1e6;
        SettingsAnswer {
            failure_threshold: policy.failure_threshold,
            success_threshold: policy.success_threshold,
            timeout_ms: millis(policy.timeout),
            timeout_multiplier: f64::from(policy.timeout_multiplier_millis) / 1e3,
            timeout_max_ms: millis(policy.timeout_max),
            timeout_jitter: f64::from(policy.timeout_jitter_millis) / 1e3,
            window_ms: policy.window.map(millis),
            minimum_calls: policy.window.map(|_| policy.minimum_calls),
            failure_rate: policy.window.map(|_| rate(policy.failure_rate)),
            slow_call_duration_ms: policy.slow_call_duration.map(millis),
            slow_call_rate: policy.slow_call_duration.map(|_| rate(policy.slow_call_rate)),
            half_open_permits: policy.half_open_permits,
            permit_ttl_ms: millis(policy.permit_ttl),
            trip_quorum: policy.trip_quorum,
        }
    }
}

fn said(is_degraded: bool) -> Option<bool> {
    is_degraded.then_some(true)
}
