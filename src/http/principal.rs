//! Who is calling, once that is known.

use super::problem::Problem;
use super::request::{FromRequest, Request, outside};
use crate::base::clock::Timestamp;
use crate::tenancy::{ApiKey, Identity, Scope, Tenant};
use actix_web::dev::Payload;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// Who acts: an operator, or one of a tenant's API keys.
#[derive(Debug, Clone)]
pub enum Actor {
    /// The holder of the admin key.
    Admin,
    /// An API key.
    Key(Arc<ApiKey>),
}

/// `admin`, or the id of the API key.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Admin => f.write_str("admin"),
            Actor::Key(key) => f.write_str(key.id.as_str()),
        }
    }
}

impl Actor {
    /// Whether it may do what `scope` stands for.
    pub fn may(&self, scope: Scope) -> bool {
        match self {
            Actor::Admin => true,
            Actor::Key(key) => key.scopes.allows(scope),
        }
    }
}

/// For handlers that note who did something.
impl FromRequest for Actor {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        request.principal().map(Principal::actor).ok_or_else(outside)
    }
}

/// An authenticated caller, and the tenant it acts for.
#[derive(Debug, Clone)]
pub struct Principal {
    caller: Caller,
    /// When the short-lived token ends that it came with in place of its key.
    pub token_ends_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Caller {
    /// The holder of the admin key, on the admin API or acting for a tenant.
    Admin(Option<Arc<Tenant>>),
    /// The holder of an API key.
    Key(Rc<Identity>),
}

impl Principal {
    /// The holder of the admin key, on the admin API or acting for a tenant.
    pub(super) fn admin(tenant: Option<Arc<Tenant>>) -> Self {
        Principal { caller: Caller::Admin(tenant), token_ends_at: None }
    }

    /// The holder of an API key, or of a token that was derived from it and ends then.
    pub(super) fn of_key(identity: Rc<Identity>, token_ends_at: Option<Timestamp>) -> Self {
        Principal { caller: Caller::Key(identity), token_ends_at }
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.key().cloned().map_or(Actor::Admin, Actor::Key)
    }

    /// The API key; none of an operator.
    pub fn key(&self) -> Option<&Arc<ApiKey>> {
        match &self.caller {
            Caller::Admin(_) => None,
            Caller::Key(identity) => Some(&identity.key),
        }
    }

    /// For which tenant; none on the admin API.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        match &self.caller {
            Caller::Admin(tenant) => tenant.as_ref(),
            Caller::Key(identity) => Some(&identity.tenant),
        }
    }

    /// Whether it may do what `scope` stands for.
    pub fn may(&self, scope: Scope) -> bool {
        self.key().is_none_or(|key| key.scopes.allows(scope))
    }
}
