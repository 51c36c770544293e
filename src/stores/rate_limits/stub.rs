//! Stands where the store will be.

use super::types::{Check, Checked, Decision, Error, ReserveOutcome, SettleOutcome, Settlement, Subject};
use crate::base::text::Name;
use crate::db::{Command, Family, Partition, TenantDb};
use std::time::Duration;

static FAMILY: Family = Family { name: "rate-limit", parts: "", kind: "", routed_by: "", lives: "", holds: "" };

/// The limits of one tenant.
pub struct RateLimits(TenantDb);

impl RateLimits {
    /// Over this data.
    pub fn new(db: TenantDb) -> RateLimits {
        RateLimits(db)
    }

    async fn used(&self, check: &Check) -> Result<u64, Error> {
        let subject = format!("{:?}", check.subject);
        let key = self.0.key(Partition::FIRST, &FAMILY, &[&subject]);
        let used = self.0.run(Command::get(&key)).await?.optional_bytes()?;
        Ok(used.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()).unwrap_or(0))
    }

    /// Checks.
    pub async fn check(&self, checks: &[Check]) -> Result<Checked, Error> {
        let mut all = Vec::new();
        for check in checks {
            let mut decision = self.peek(check).await?;
            if decision.allowed {
                decision.current += check.cost;
                let subject = format!("{:?}", check.subject);
                let key = self.0.key(Partition::FIRST, &FAMILY, &[&subject]);
                let set = Command::set(&key, decision.current.to_string(), crate::db::Expiry::Never);
                self.0.run(set).await?.done()?;
            }
            all.push(decision);
        }
        Ok(Checked::Decided(all))
    }

    /// Looks.
    pub async fn peek(&self, check: &Check) -> Result<Decision, Error> {
        let current = self.used(check).await?;
        let allowed = current + check.cost <= check.quota.room();
        let window = Duration::from_millis(check.quota.window_millis());
        Ok(Decision { allowed, current, reset: window, retry_after: if allowed { Duration::ZERO } else { window } })
    }

    /// Forgets.
    pub async fn reset(&self, _: &Subject) -> Result<bool, Error> {
        Ok(false)
    }

    /// Reserves.
    pub async fn reserve(&self, _: &Check, _: Duration) -> Result<ReserveOutcome, Error> {
        Ok(ReserveOutcome::TooManyWindows)
    }

    /// Settles.
    pub async fn settle(&self, _: &Name, _: Settlement) -> Result<SettleOutcome, Error> {
        Ok(SettleOutcome::Absent)
    }
}
