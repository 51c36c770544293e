//! Who is calling, once that is known.

use crate::tenancy::{KeyId, Scope, Scopes, Tenant};
use std::sync::Arc;

/// Who acts: an operator, or one of a tenant's API keys.
#[derive(Debug, Clone)]
pub enum Actor {
    /// The holder of the admin key.
    Admin,
    /// An API key.
    Key {
        /// Its public id.
        id: KeyId,
        /// What it may do.
        scopes: Scopes,
    },
}

/// An authenticated caller, and the tenant it acts for.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who acts.
    pub actor: Actor,
    /// For which tenant; none on the admin API.
    pub tenant: Option<Arc<Tenant>>,
}

impl Principal {
    /// Whether it may do what `scope` stands for.
    pub fn may(&self, scope: Scope) -> bool {
        match &self.actor {
            Actor::Admin => true,
            Actor::Key { scopes, .. } => scopes.allows(scope),
        }
    }
}
