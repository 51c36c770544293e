//! How a handler gets at a store: opened for the caller's tenant and for no other, and for as long as the
//! caller waits.

use super::problem::Problem;
use super::request::{FromRequest, Request, outside};
use crate::base::deadline::Deadline;
use crate::tenancy::{Registry, Tenant};
use actix_web::dev::Payload;
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
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        let (tenant, opens) = (request.tenant().ok_or_else(outside)?, request.provided::<O>().ok_or_else(outside)?);
        let store = opens.open(tenant, request.deadline);
        if let Some(degraded) = O::degraded(&store) {
            request.may_be_degraded(degraded);
        }
        Ok(Scoped(store))
    }
}

/// Tenants and their keys, for the operators' endpoints.
pub struct Tenancy(pub Registry);

impl FromRequest for Tenancy {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(Tenancy(request.platform.registry().by(request.deadline)))
    }
}

/// Until when the caller waits, for handlers whose store is no tenant's.
pub struct CallerWaits(pub Deadline);

impl FromRequest for CallerWaits {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(CallerWaits(request.deadline))
    }
}

/// How heavy the request is, for handlers of those that can be.
pub struct Weight(Rc<Request>);

impl Weight {
    /// It costs as much as so many requests of the usual kind, at least one and at most what its endpoint
    /// says.
    pub fn is(&self, slots: usize) {
        if let Ok(admitted) = self.0.admitted() {
            admitted.load.weigh(u32::try_from(slots).unwrap_or(u32::MAX));
        }
    }
}

impl FromRequest for Weight {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(Weight(request.clone()))
    }
}
