use super::RateLimits;
use super::types::*;
use crate::base::text::{Name, TenantId};
use std::time::Duration;
#[derive(Clone, Default)]
pub struct Guard;
pub struct Guarded(RateLimits);
impl Guard {
    pub fn over(self: &std::sync::Arc<Self>, _: &TenantId, limits: RateLimits) -> Guarded {
        Guarded(limits)
    }
}
impl Guarded {
    pub fn degraded(&self) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
        Default::default()
    }
    pub async fn check(&self, checks: &[Check]) -> Result<Told<Checked>, Error> {
        self.0.check(checks).await.map(Told::Exact)
    }
    pub async fn peek(&self, check: &Check) -> Result<Told<Decision>, Error> {
        self.0.peek(check).await.map(Told::Exact)
    }
    pub async fn reset(&self, subject: &Subject) -> Result<bool, Error> {
        self.0.reset(subject).await
    }
    pub async fn reserve(&self, check: &Check, hold: Duration) -> Result<ReserveOutcome, Error> {
        self.0.reserve(check, hold).await
    }
    pub async fn settle(&self, id: &Name, how: Settlement) -> Result<SettleOutcome, Error> {
        self.0.settle(id, how).await
    }
}
