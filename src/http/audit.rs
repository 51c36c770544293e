//! The audit log: a structured line for every change by an admin and for every secret that was opened or replaced, under
//! a log target of its own: what was done, by whom, to which tenant and what of it, from where, and how it was before and
//! after. Never a secret: of a key it has the public id, and what the API shows of it.

use super::client_address::ClientAddress;
use super::principal::Actor;
use super::problem::Problem;
use super::request::{FromRequest, Request};
use crate::tenancy::KeyId;
use actix_web::dev::Payload;
use serde::Serialize;
use std::rc::Rc;

/// The log target of audit lines. They are written whatever the log level is.
pub const AUDIT_LOG: &str = "agentapi::audit";

/// Writes the audit lines of one request. A handler that changes something as an admin, or that opens a secret, takes
/// it as an argument.
pub struct Audit {
    actor: Actor,
    address: ClientAddress,
}

impl Audit {
    /// A line for a change of a tenant.
    pub fn tenant(&self, action: &'static str, tenant: &str, before: Option<&impl Serialize>, after: &impl Serialize) {
        let (actor, address, before, after) = (&self.actor, &self.address, before.map(text), text(after));
        tracing::info!(target: AUDIT_LOG, action, tenant, %actor, %address, before, after, "changed");
    }

    /// A line for a change of an API key.
    pub fn key(&self, action: &'static str, tenant: &str, key: KeyId, after: Option<&impl Serialize>) {
        let (actor, address, key_id, after) = (&self.actor, &self.address, key.as_str(), after.map(text));
        tracing::info!(target: AUDIT_LOG, action, tenant, key_id, %actor, %address, after, "changed");
    }

    /// A line for a job that was started, of one tenant or of all.
    pub fn job(&self, action: &'static str, tenant: Option<&str>, job: &str) {
        let (actor, address) = (&self.actor, &self.address);
        tracing::info!(target: AUDIT_LOG, action, tenant, job, %actor, %address, "started");
    }

    /// A line for a secret that was opened, kept or destroyed: `of` names it, as in `["alice", "google"]`.
    pub fn secret(&self, action: &'static str, tenant: &str, of: &[&str]) {
        let (actor, address) = (&self.actor, &self.address);
        tracing::info!(target: AUDIT_LOG, action, tenant, ?of, %actor, %address, "secret");
    }
}

/// What the API shows of it.
fn text(resource: &impl Serialize) -> String {
    serde_json::to_string(resource).unwrap_or_default()
}

impl FromRequest for Audit {
    async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
        let actor = Actor::from_request(request, payload).await?;
        Ok(Audit { actor, address: ClientAddress::of(request) })
    }
}
