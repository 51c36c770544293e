//! What requests carry: the shapes of the HTTP API, from which it is described, and what is made of them.

use super::fields::{Fraction, Whole};
use super::types::{CallOutcome, Force, Forced, Policy, Report};
use crate::base::duration::DurationField;
use crate::base::text::Name;
use crate::base::word::Word;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// The longest that anything here may last.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What is wrong with a body: the member, as a JSON pointer, and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyFault(pub(super) &'static str, pub(super) &'static str);

type Rate = Fraction<1_000_000, 1, 1_000_000>;

/// The settings of a breaker. What is left out is as by default, whatever was set before.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BreakerSettings")]
pub(super) struct SettingsBody {
    /// So many failures in a row open it. Default: `CIRCUIT_BREAKER_FAILURE_THRESHOLD`, 5; with `window`, failures in
    /// a row open it only where this is given.
    failure_threshold: Option<Whole<1, 1_000_000>>,
    /// So many successful probes close it. Default: `CIRCUIT_BREAKER_SUCCESS_THRESHOLD`, 2.
    success_threshold: Option<Whole<1, 10_000>>,
    /// How long it is open: above zero, at most 366d. Default: `CIRCUIT_BREAKER_TIMEOUT`, 30s.
    timeout: Option<DurationField>,
    /// By what that time grows each time that a probe fails; three decimals are kept. Default: 1, not at all.
    timeout_multiplier: Option<Fraction<1000, 1000, 10_000>>,
    /// The longest that it grows to: at least `timeout`, at most 366d. Default: ten times `timeout`, at most 366d.
    timeout_max: Option<DurationField>,
    /// The part of it by which chance makes it longer, so that callers do not come back in step; three decimals are
    /// kept. Default: 0.
    timeout_jitter: Option<Fraction<1000, 0, 1000>>,
    /// Over the last so long the rates are judged: 1s to 1d. Default: not given, and the rates are not judged.
    window: Option<DurationField>,
    /// Fewer calls than these in the window open nothing. Default: 10.
    minimum_calls: Option<Whole<1, 1_000_000>>,
    /// This part of the calls failing opens it; six decimals are kept. Default: 0.5.
    failure_rate: Option<Rate>,
    /// A call that took so long was slow: above zero, at most 366d. Default: not given, and none was.
    slow_call_duration: Option<DurationField>,
    /// This part of the calls being slow opens it; six decimals are kept. Default: 1.
    slow_call_rate: Option<Rate>,
    /// How many probes may be under way at a time. All of them are read at each question. Default: 1.
    half_open_permits: Option<Whole<1, 100>>,
    /// How long a probe may take until its permit is given to another: above zero, at most 366d. Default:
    /// `CIRCUIT_BREAKER_TIMEOUT`, 30s.
    permit_ttl: Option<DurationField>,
    /// It opens only when so many instances have reported failures. Default: 1.
    trip_quorum: Option<Whole<1, 100>>,
}

impl SettingsBody {
    /// The policy that this makes of the default one.
    ///
    /// # Errors
    /// The first member that does not fit, or that means nothing without another.
    pub(super) fn policy(self, default: &Policy) -> Result<Policy, BodyFault> {
        self.check_company()?;
        let any = (Duration::from_millis(1), LONGEST);
        let above_zero = "must be above zero and at most 366d";
        let timeout = within(self.timeout, any, BodyFault("/timeout", above_zero))?.unwrap_or(default.timeout);
        let max = BodyFault("/timeout_max", "must be at least timeout and at most 366d");
        let ten_times = timeout.saturating_mul(10).min(LONGEST.max(timeout));
        let a_day = (Duration::from_secs(1), Duration::from_secs(86_400));
        let window = within(self.window, a_day, BodyFault("/window", "must be from 1s to 1d"))?;
        let slow = within(self.slow_call_duration, any, BodyFault("/slow_call_duration", above_zero))?;
        let in_a_row = if window.is_some() { None } else { default.failure_threshold };
        Ok(Policy {
            failure_threshold: self.failure_threshold.map(|number| number.0).or(in_a_row),
            success_threshold: self.success_threshold.map_or(default.success_threshold, |number| number.0),
            timeout,
            timeout_multiplier_millis: self.timeout_multiplier.map_or(default.timeout_multiplier_millis, |part| part.0),
            timeout_max: within(self.timeout_max, (timeout, LONGEST), max)?.unwrap_or(ten_times),
            timeout_jitter_millis: self.timeout_jitter.map_or(default.timeout_jitter_millis, |part| part.0),
            window,
            minimum_calls: self.minimum_calls.map_or(default.minimum_calls, |number| number.0),
            failure_rate: self.failure_rate.map_or(default.failure_rate, |part| part.0),
            slow_call_duration: slow,
            slow_call_rate: self.slow_call_rate.map_or(default.slow_call_rate, |part| part.0),
            half_open_permits: self.half_open_permits.map_or(default.half_open_permits, |number| number.0),
            permit_ttl: within(self.permit_ttl, any, BodyFault("/permit_ttl", above_zero))?
                .unwrap_or(default.permit_ttl),
            trip_quorum: self.trip_quorum.map_or(default.trip_quorum, |number| number.0),
        })
    }

    /// A rate that nothing is judged by is a mistake, and not one to keep quiet about.
    fn check_company(&self) -> Result<(), BodyFault> {
        let alone = [
            (self.minimum_calls.is_some(), "/minimum_calls"),
            (self.failure_rate.is_some(), "/failure_rate"),
            (self.slow_call_duration.is_some(), "/slow_call_duration"),
            (self.slow_call_rate.is_some(), "/slow_call_rate"),
        ];
        if self.window.is_none()
            && let Some((_, pointer)) = alone.into_iter().find(|(is_given, _)| *is_given)
        {
            return Err(BodyFault(pointer, "means nothing without window"));
        }
        if self.slow_call_rate.is_some() && self.slow_call_duration.is_none() {
            return Err(BodyFault("/slow_call_rate", "means nothing without slow_call_duration"));
        }
        Ok(())
    }
}

fn within(
    field: Option<DurationField>,
    (least, most): (Duration, Duration),
    fault: BodyFault,
) -> Result<Option<Duration>, BodyFault> {
    match field {
        Some(DurationField(time)) if time < least || time > most => Err(fault),
        field => Ok(field.map(|DurationField(time)| time)),
    }
}

/// Who asks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcquireBody {
    /// Which of the caller's instances asks.
    pub(super) instance: Option<Name>,
}

/// How calls went.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportBody {
    outcome: Word<CallOutcome>,
    /// How long the call took, or each of them: at most 366 days.
    duration_ms: Option<u64>,
    /// What `acquire` answered; without one the report is about the state that there is.
    permit: Option<Name>,
    /// How many calls went so. Default: 1.
    count: Option<Whole<1, 1_000_000>>,
    /// Which of the caller's instances tells; `trip_quorum` counts them.
    instance: Option<Name>,
}

impl ReportBody {
    /// The report.
    ///
    /// # Errors
    /// A duration that is too long.
    pub(super) fn report(self) -> Result<Report, BodyFault> {
        let duration = self.duration_ms.map(Duration::from_millis);
        if duration.is_some_and(|duration| duration > LONGEST) {
            return Err(BodyFault("/duration_ms", "must be at most 366 days"));
        }
        let count = self.count.map_or(1, |number| number.0);
        Ok(Report { outcome: self.outcome.0, duration, permit: self.permit, count, instance: self.instance })
    }
}

/// A state by hand.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForceBody {
    state: Word<Forced>,
    /// Why: 1 to 256 characters, none of them a control character.
    #[schemars(length(min = 1, max = 256))]
    reason: Option<String>,
    /// For how long: above zero, at most 366d. Without it until further notice.
    ttl: Option<DurationField>,
}

impl ForceBody {
    /// What is wanted, by `actor`.
    ///
    /// # Errors
    /// The member that does not fit.
    pub(super) fn force(self, actor: String) -> Result<Force, BodyFault> {
        let fits = |reason: &str| (1..=256).contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
        if self.reason.as_deref().is_some_and(|reason| !fits(reason)) {
            return Err(BodyFault("/reason", "must be 1 to 256 characters, none of them a control character"));
        }
        let ttl = BodyFault("/ttl", "must be above zero and at most 366d");
        let ttl = within(self.ttl, (Duration::from_millis(1), LONGEST), ttl)?;
        if ttl.is_some() && self.state.0 == Forced::Auto {
            return Err(BodyFault("/ttl", "means nothing with auto"));
        }
        Ok(Force { state: self.state.0, reason: self.reason, actor, ttl })
    }
}
