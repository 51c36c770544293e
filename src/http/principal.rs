//! Who is calling, once that is known.

use super::problem::Problem;
use super::request::{FromRequest, Request, outside};
use crate::base::clock::Timestamp;
use crate::tenancy::{ApiKey, Scope, Tenant};
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
        request.principal().map(|principal| principal.actor.clone()).ok_or_else(outside)
    }
}

/// An authenticated caller, and the tenant it acts for.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// For which tenant; none on the admin API.
    pub tenant: Option<Arc<Tenant>>,
    /// When the short-lived token ends that it came with in place of its key.
    pub token_ends_at: Option<Timestamp>,
}

impl Principal {
    /// Whether it may do what `scope` stands for.
    pub fn may(&self, scope: Scope) -> bool {
        self.actor.may(scope)
    }
}
