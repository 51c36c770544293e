//! The server's own limit behind the port that the HTTP platform asks through.

use crate::base::deadline::Deadline;
use crate::db::{self, Database};
use crate::http::ports::{RequestLimit, RequestStanding, RequestVerdict};
use crate::stores::rate_limits::{Addresses, Error, Grant, Guard, RateLimitSettings, RateLimits, Slices, Standing};
use crate::tenancy::{KeyId, SteadyClock, Tenant};
use futures_util::future::LocalBoxFuture;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Requests of API keys, and of addresses without one.
pub(super) struct Limit {
    settings: RateLimitSettings,
    guard: Arc<Guard>,
    database: Database,
    slices: Slices,
    addresses: Addresses,
}

impl Limit {
    /// A limit that is counted in this database.
    pub(super) fn new(settings: RateLimitSettings, guard: Arc<Guard>, database: Database) -> Self {
        let clock = Arc::new(SteadyClock::start());
        let addresses = Addresses::new(&settings, clock.clone());
        Limit { settings, guard, database, slices: Slices::new(clock), addresses }
    }
}

fn told(Standing { limit, remaining, reset }: Standing) -> RequestStanding {
    RequestStanding { limit, remaining, reset }
}

impl RequestLimit for Limit {
    fn at_once(&self, key: KeyId, tenant: &Tenant) -> Option<RequestStanding> {
        let own = self.settings.for_tenant(tenant);
        let under = (own.requests_per_minute.into(), own.burst_size.into());
        self.slices.at_once(key, under).map(told)
    }

    fn take<'a>(
        &'a self,
        key: KeyId,
        tenant: &'a Tenant,
        deadline: Deadline,
    ) -> LocalBoxFuture<'a, Result<RequestVerdict, db::Error>> {
        Box::pin(async move {
            let quota = self.settings.for_tenant(tenant).quota().ok_or(db::Error::unexpected("a limit"))?;
            let db = self.database.tenant(&tenant.id).by(deadline);
            let limits = self.guard.over(&tenant.id, RateLimits::new(db));
            Ok(match self.slices.take(key, quota, &limits).await {
                Ok(Grant::Allowed(standing)) => RequestVerdict::Allowed(told(standing)),
                Ok(Grant::Denied(standing, retry_after)) => RequestVerdict::Denied(told(standing), retry_after),
                Ok(Grant::Closed) => RequestVerdict::Closed,
                Err(Error::Backend(error)) => return Err(error),
                Err(Error::NoRandomness) => return Err(db::Error::unexpected("randomness")),
            })
        })
    }

    fn may_fail(&self, address: IpAddr) -> Result<(), Duration> {
        self.addresses.may_fail(address)
    }

    fn failed(&self, address: IpAddr) -> Result<(), Duration> {
        self.addresses.failed(address)
    }
}
