//! How a handler gets at a store: opened for the caller's tenant and for no other, and for as long as the
//! caller waits.

use super::gate;
use super::problem::Problem;
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::tenancy::{Registry, Tenant};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What opens a store for a tenant. One per store, kept by the application.
pub trait Opens: 'static {
    /// The store.
    type Store;

    /// The store over this tenant's data, with this tenant's settings, for a request with this deadline.
    fn open(&self, tenant: &Tenant, deadline: Deadline) -> Self::Store;

    /// Becomes true when an answer comes from this process's memory in place of the backend: the platform then says so.
    /// Nothing where none can.
    fn degraded(_: &Self::Store) -> Option<Arc<AtomicBool>> {
        None
    }
}

/// A store of the caller's tenant. `O` is what opens it.
pub struct Scoped<O: Opens>(pub O::Store);

impl<O: Opens> FromRequest for Scoped<O> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let open = || {
            let walk = gate::walk(request)?;
            let tenant = walk.principal.as_ref()?.tenant.as_ref()?;
            let store = request.app_data::<web::Data<O>>()?.open(tenant, walk.deadline);
            if let Some(degraded) = O::degraded(&store) {
                // Each request opens one store.
                drop(walk.degraded.set(degraded));
            }
            Some(Scoped(store))
        };
        // Nothing here depends on the client: an endpoint without a tenant asks for no store.
        ready(open().ok_or_else(outside))
    }
}

/// Tenants and their keys, for the operators' endpoints.
pub struct Tenancy(pub Registry);

impl FromRequest for Tenancy {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let walk = gate::walk(request).ok_or_else(outside);
        ready(walk.map(|walk| Tenancy(walk.platform.registry().by(walk.deadline))))
    }
}

/// Until when the caller waits, for handlers whose store is no tenant's.
pub struct CallerWaits(pub Deadline);

impl FromRequest for CallerWaits {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(gate::walk(request).map(|walk| CallerWaits(walk.deadline)).ok_or_else(outside))
    }
}

/// How heavy the request is, for handlers of those that can be.
pub struct Weight(Rc<gate::Walk>);

impl Weight {
    /// It costs as much as so many requests of the usual kind, at least one and at most what its endpoint
    /// says.
    pub fn is(&self, slots: usize) {
        self.0.load.weigh(u32::try_from(slots).unwrap_or(u32::MAX));
    }
}

impl FromRequest for Weight {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(gate::walk(request).map(Weight).ok_or_else(outside))
    }
}

/// For what only a request that came through the gate has.
pub(super) fn outside() -> Problem {
    Problem::new(Code::Internal, "The request could not be completed.")
}
