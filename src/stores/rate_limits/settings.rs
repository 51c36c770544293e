//! How often each API key may ask this server, and what holds for limits while the backend cannot be asked.

use super::types::{Algorithm, Quota};
use crate::base::env::{Env, Variable};
use crate::tenancy::Tenant;
use std::time::Duration;

/// What is answered while the backend cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// What this process alone has counted: each process allows up to the limit.
    Open,
    /// That nothing is allowed.
    Closed,
}

/// The settings of one tenant, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// `RATE_LIMIT_ENABLED`: whether each API key is limited.
    pub enabled: bool,
    /// `RATE_LIMIT_REQUESTS_PER_MINUTE`: how often each may ask, at least 1.
    pub requests_per_minute: u32,
    /// `RATE_LIMIT_BURST_SIZE`: how often beyond that.
    pub burst_size: u32,
    /// `RATE_LIMIT_FAIL`.
    pub fail: Fail,
    /// `RATE_LIMIT_LEGACY_HEADERS`: whether `X-RateLimit-*` goes with the fields of the standard.
    pub legacy_headers: bool,
}

const ENABLED: Variable = Variable::new(
    "RATE_LIMIT_ENABLED",
    "Whether requests are limited: those of each API key, and those without a valid one of each address.",
)
.default("true");
const REQUESTS: Variable =
    Variable::new("RATE_LIMIT_REQUESTS_PER_MINUTE", "Requests a minute; a tenant's limits may say otherwise.")
        .default("60");
const BURST: Variable = Variable::new("RATE_LIMIT_BURST_SIZE", "Requests beyond that in a burst.").default("10");
const FAIL: Variable = Variable::new(
    "RATE_LIMIT_FAIL",
    "What limits do while the backend cannot be asked. open: each server counts for itself. closed: nothing is allowed.",
)
.default("open");
const LEGACY: Variable = Variable::new(
    "RATE_LIMIT_LEGACY_HEADERS",
    "Whether X-RateLimit-Limit, -Remaining and -Reset go with RateLimit and RateLimit-Policy.",
)
.default("false");

impl RateLimitSettings {
    /// Reads and defines the variables.
    pub fn read(env: &mut Env) -> RateLimitSettings {
        let positive = |text: &str| text.parse().ok().filter(|number: &u32| *number > 0);
        RateLimitSettings {
            enabled: env.flag(ENABLED).unwrap_or(true),
            requests_per_minute: env.parsed(REQUESTS, "is not a number from 1 to 4294967295", positive).unwrap_or(1),
            burst_size: env.number(BURST),
            fail: env.choice(FAIL, &[("open", Fail::Open), ("closed", Fail::Closed)]).unwrap_or(Fail::Open),
            legacy_headers: env.flag(LEGACY).unwrap_or(false),
        }
    }

    /// These settings with what a tenant has of its own.
    pub fn for_tenant(&self, tenant: &Tenant) -> RateLimitSettings {
        RateLimitSettings {
            // A record that says 0 was not written by this server, and would let nobody in.
            requests_per_minute: tenant.limits.requests_per_minute.unwrap_or(self.requests_per_minute).max(1),
            burst_size: tenant.limits.burst_size.unwrap_or(self.burst_size),
            ..*self
        }
    }

    /// How many requests of one key are allowed. Nothing is not possible with any settings that there are.
    pub fn quota(&self) -> Option<Quota> {
        let (limit, burst) = (self.requests_per_minute.into(), self.burst_size.into());
        Quota::new(limit, burst, MINUTE, Algorithm::SlidingWindow).ok()
    }
}

/// The window of the server's own limit.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// The defaults of every variable.
impl Default for RateLimitSettings {
    fn default() -> Self {
        RateLimitSettings::read(&mut Env::new([]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let RateLimitSettings { enabled, requests_per_minute, burst_size, fail, legacy_headers } = Default::default();
        assert_eq!((enabled, requests_per_minute, burst_size), (true, 60, 10));
        assert_eq!((fail, legacy_headers), (Fail::Open, false));
    }

    #[test]
    fn a_limit_that_lets_nobody_in_is_a_mistake() {
        let pairs = [
            ("RATE_LIMIT_ENABLED", "perhaps"),
            ("RATE_LIMIT_REQUESTS_PER_MINUTE", "0"),
            ("RATE_LIMIT_BURST_SIZE", "-1"),
            ("RATE_LIMIT_FAIL", "ajar"),
        ];
        let mut env = Env::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        RateLimitSettings::read(&mut env);
        let said = env.finish().unwrap_err().to_string();
        for (name, _) in pairs {
            assert!(said.contains(name), "{said}");
        }
    }

    #[test]
    fn a_tenants_own_limits_win_and_every_limit_is_a_quota() {
        let tenant = |limits| {
            let tenant = json!({
                "id": "acme", "status": "active", "limits": limits, "version": 1,
                "created_at": "2026-01-31T08:00:00.000Z", "updated_at": "2026-01-31T08:00:00.000Z",
            });
            serde_json::from_value::<Tenant>(tenant).unwrap()
        };
        let numbers = |limits| {
            let quota = RateLimitSettings::default().for_tenant(&tenant(limits)).quota().unwrap();
            (quota.limit(), quota.burst())
        };
        assert_eq!(numbers(json!({})), (60, 10));
        assert_eq!(numbers(json!({"requests_per_minute": 600})), (600, 10));
        assert_eq!(numbers(json!({"burst_size": 0})), (60, 0));
        assert_eq!(numbers(json!({"requests_per_minute": 0})), (1, 10));
        let most = u64::from(u32::MAX);
        assert_eq!(numbers(json!({"requests_per_minute": most, "burst_size": most})), (most, most));
    }
}
