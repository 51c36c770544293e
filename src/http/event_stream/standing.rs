//! Whether somebody who has been listening for a while still may.

use crate::base::deadline::Deadline;
use crate::http::endpoint::{Access, InOutage};
use crate::http::principal::Principal;
use crate::http::request::Request;
use crate::tenancy::{Registry, Status};
use std::time::{Duration, Instant};

/// The longest that the backend is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who listens, and what to.
pub(super) struct Standing {
    registry: Registry,
    principal: Option<Principal>,
    access: Access,
    in_outage: InOutage,
}

impl Standing {
    /// Of whoever sent this request.
    pub(super) fn of(request: &Request) -> Self {
        let registry = request.platform.registry().clone();
        let (access, in_outage) = (request.endpoint.access, request.endpoint.in_outage);
        Standing { registry, principal: request.principal().cloned(), access, in_outage }
    }

    /// Whether the key is still good for this, and its tenant active. While the backend cannot be asked, it is where
    /// the endpoint goes on by what was known last.
    pub(super) async fn still_may(&self) -> bool {
        let Some(principal) = &self.principal else { return true };
        let deadline = Deadline::after(Instant::now(), PATIENCE);
        let tenant = match (principal.key(), principal.tenant()) {
            (None, None) => return true,
            (None, Some(tenant)) => self.registry.tenant(&tenant.id, deadline).await,
            (Some(key), _) => self.registry.look_again(key.id, deadline).await.map(|identity| {
                let identity = identity?;
                let may = matches!(self.access, Access::Tenant(scope) if identity.key.scopes.allows(scope));
                may.then_some(identity.tenant)
            }),
        };
        match tenant {
            Ok(tenant) => tenant.is_some_and(|tenant| tenant.status == Status::Active),
            Err(_) => self.in_outage == InOutage::Approximate,
        }
    }
}
