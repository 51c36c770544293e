//! What holds for a breaker that nobody configured.

use super::types::Policy;
use crate::base::env::{Env, Variable};
use std::time::Duration;

/// The settings of all breakers that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSettings {
    /// `CIRCUIT_BREAKER_ENABLED`: whether there are breakers at all.
    pub enabled: bool,
    /// `CIRCUIT_BREAKER_FAILURE_THRESHOLD`: so many failures in a row open one.
    pub failure_threshold: u32,
    /// `CIRCUIT_BREAKER_SUCCESS_THRESHOLD`: so many successful probes close it.
    pub success_threshold: u32,
    /// `CIRCUIT_BREAKER_TIMEOUT`: how long it is open.
    pub timeout: Duration,
}

const ENABLED: Variable =
    Variable::new("CIRCUIT_BREAKER_ENABLED", "Whether circuit breakers are asked; if not, every call may be made.")
        .default("true");
const FAILURES: Variable =
    Variable::new("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "So many failures in a row open a breaker.").default("5");
const SUCCESSES: Variable =
    Variable::new("CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "So many successful probes close it again.").default("2");
const TIMEOUT: Variable =
    Variable::new("CIRCUIT_BREAKER_TIMEOUT", "How long a breaker is open before it lets probes through.")
        .default("30s");

impl BreakerSettings {
    /// Reads and defines the variables.
    pub fn read(env: &mut Env) -> BreakerSettings {
        let mut threshold = |variable| {
            let read = |text: &str| text.parse().ok().filter(|n| (1..=1_000_000).contains(n));
            env.parsed(variable, "is not a number from 1 to 1000000", read).unwrap_or(1)
        };
        let (failure_threshold, success_threshold) = (threshold(FAILURES), threshold(SUCCESSES));
        BreakerSettings {
            enabled: env.flag(ENABLED).unwrap_or(true),
            failure_threshold,
            success_threshold,
            timeout: env.positive_duration(TIMEOUT),
        }
    }

    /// The policy of a breaker that nobody configured.
    pub fn policy(&self) -> Policy {
        Policy {
            failure_threshold: Some(self.failure_threshold),
            success_threshold: self.success_threshold,
            timeout: self.timeout,
            timeout_multiplier_millis: 1000,
            timeout_max: self.timeout.saturating_mul(10),
            timeout_jitter_millis: 0,
            window: None,
            minimum_calls: 10,
            failure_rate: 500_000,
            slow_call_duration: None,
            slow_call_rate: 1_000_000,
            half_open_permits: 1,
            permit_ttl: self.timeout,
            trip_quorum: 1,
        }
    }
}

/// The defaults of every variable.
impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings::read(&mut Env::new([]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = BreakerSettings::default();
        assert!(settings.enabled);
        assert_eq!((settings.failure_threshold, settings.success_threshold), (5, 2));
        let policy = settings.policy();
        assert_eq!(policy.timeout, Duration::from_secs(30));
        assert_eq!((policy.permit_ttl, policy.timeout_max), (Duration::from_secs(30), Duration::from_secs(300)));
    }

    #[test]
    fn a_breaker_that_could_not_work_is_a_mistake() {
        let names = ["FAILURE_THRESHOLD", "SUCCESS_THRESHOLD", "TIMEOUT"].map(|name| format!("CIRCUIT_BREAKER_{name}"));
        let mut env = Env::new(names.iter().map(|name| (name.clone(), "0".to_owned())));
        BreakerSettings::read(&mut env);
        let said = env.finish().unwrap_err();
        assert!(said.0.len() == 3 && names.iter().all(|name| said.to_string().contains(name)), "{said}");
    }
}
