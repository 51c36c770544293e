//! How sessions live: lifetimes, limits, refresh tokens. A tenant's own settings override these, so the
//! members are public.

use crate::base::env::{Env, Variable};
use crate::tenancy::{SessionLimitPolicy, SessionTtlPolicy, Tenant};
use std::time::Duration;

/// The settings of the sessions of one tenant, or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// `SESSION_TTL`: how long a session lives after its last use.
    pub ttl: Duration,
    /// `SESSION_TTL_POLICY`.
    pub policy: SessionTtlPolicy,
    /// `SESSION_CLEANUP_INTERVAL`: how often ended sessions are cleared from the indexes.
    pub cleanup_interval: Duration,
    /// `SESSION_MAX_PER_USER`: how many sessions a user may have; 0 is any number.
    pub max_per_user: u32,
    /// `SESSION_LIMIT_POLICY`.
    pub limit_policy: SessionLimitPolicy,
    /// `SESSION_REFRESH_TTL`: how long a refresh token lives.
    pub refresh_ttl: Duration,
    /// `SESSION_REFRESH_GRACE`: how long a used refresh token gives the same answer again.
    pub refresh_grace: Duration,
}

const TTL: Variable = Variable::new("SESSION_TTL", "How long a session lives after its last use.").default("3600s");
const POLICY: Variable = Variable::new(
    "SESSION_TTL_POLICY",
    "fixed: each use renews SESSION_TTL. adaptive: one hour, half an hour or 15 minutes by how recently it was used, two hours at most.",
)
.default("fixed");
const CLEANUP: Variable =
    Variable::new("SESSION_CLEANUP_INTERVAL", "How often ended sessions are cleared from the indexes.").default("300s");
const MAX_PER_USER: Variable =
    Variable::new("SESSION_MAX_PER_USER", "How many sessions a user may have; 0 is any number.").default("0");
const LIMIT_POLICY: Variable = Variable::new(
    "SESSION_LIMIT_POLICY",
    "What happens at that number. evict_oldest: the first created ends. reject: no further one is created.",
)
.default("evict_oldest");
const REFRESH_TTL: Variable = Variable::new("SESSION_REFRESH_TTL", "How long a refresh token lives.").default("30d");
const REFRESH_GRACE: Variable =
    Variable::new("SESSION_REFRESH_GRACE", "How long a used refresh token gives the same answer again.").default("10s");

const FALLBACK: Variable = Variable::new(
    "SESSION_FALLBACK",
    "What serves sessions while the backend cannot be asked. none: nothing, the answer is 503. memory: this process, until the backend is back and gets them; a crash meanwhile loses them.",
)
.default("none");

/// What serves sessions while the backend cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionFallback {
    /// Nothing: the answer is 503.
    None,
    /// This process.
    Memory,
}

impl SessionFallback {
    /// Reads and defines the variable.
    pub fn read(env: &mut Env) -> SessionFallback {
        let choices = [("none", SessionFallback::None), ("memory", SessionFallback::Memory)];
        env.choice(FALLBACK, &choices).unwrap_or(SessionFallback::None)
    }
}

impl SessionSettings {
    /// Reads and defines the variables.
    pub fn read(env: &mut Env) -> SessionSettings {
        let policies = [("fixed", SessionTtlPolicy::Fixed), ("adaptive", SessionTtlPolicy::Adaptive)];
        let limits = [("evict_oldest", SessionLimitPolicy::EvictOldest), ("reject", SessionLimitPolicy::Reject)];
        SessionSettings {
            ttl: env.positive_duration(TTL),
            policy: env.choice(POLICY, &policies).unwrap_or(SessionTtlPolicy::Fixed),
            cleanup_interval: env.positive_duration(CLEANUP),
            max_per_user: env.number(MAX_PER_USER),
            limit_policy: env.choice(LIMIT_POLICY, &limits).unwrap_or(SessionLimitPolicy::EvictOldest),
            refresh_ttl: env.positive_duration(REFRESH_TTL),
            refresh_grace: env.duration(REFRESH_GRACE),
        }
    }
}

impl SessionSettings {
    /// These settings with what a tenant has of its own.
    pub fn for_tenant(&self, tenant: &Tenant) -> SessionSettings {
        SessionSettings {
            ttl: tenant.settings.session_ttl.unwrap_or(self.ttl),
            policy: tenant.settings.session_ttl_policy.unwrap_or(self.policy),
            max_per_user: tenant.limits.max_sessions_per_user.unwrap_or(self.max_per_user),
            limit_policy: tenant.settings.session_limit_policy.unwrap_or(self.limit_policy),
            ..self.clone()
        }
    }
}

/// The defaults of every variable.
impl Default for SessionSettings {
    fn default() -> Self {
        SessionSettings::read(&mut Env::new([]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = SessionSettings::default();
        assert_eq!(settings.ttl, Duration::from_secs(3600));
        assert_eq!(settings.policy, SessionTtlPolicy::Fixed);
        assert_eq!(settings.cleanup_interval, Duration::from_secs(300));
        assert_eq!(settings.max_per_user, 0);
        assert_eq!(settings.limit_policy, SessionLimitPolicy::EvictOldest);
        assert_eq!(settings.refresh_ttl, Duration::from_secs(30 * 86_400));
        assert_eq!(settings.refresh_grace, Duration::from_secs(10));
    }

    #[test]
    fn a_session_that_would_not_live_is_a_mistake() {
        let pairs = [("SESSION_TTL", "0"), ("SESSION_TTL_POLICY", "forever"), ("SESSION_MAX_PER_USER", "-1")];
        let mut env = Env::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        SessionSettings::read(&mut env);
        let said = env.finish().unwrap_err().to_string();
        for (name, _) in pairs {
            assert!(said.contains(name), "{said}");
        }
    }
}
