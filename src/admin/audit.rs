//! The audit log: a structured line for every change by an admin, under a log target of its own: what was
//! done, to which tenant and key, from where, and how it was before and after. Never a secret: of a key it
//! has the public id, and what the API shows of it.

use crate::http::ClientAddress;
use crate::tenancy::KeyId;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;

/// The log target of audit lines. They are written whatever the log level is.
pub const AUDIT_LOG: &str = "agentapi::audit";

/// Writes the audit lines of one request. A handler that changes something takes it as an argument.
pub(super) struct Audit {
    address: ClientAddress,
}

impl Audit {
    /// A line for a change of a tenant.
    pub(super) fn tenant(
        &self,
        action: &'static str,
        tenant: &str,
        before: Option<&impl Serialize>,
        after: &impl Serialize,
    ) {
        self.line(action, tenant, None, before.map(text).as_deref(), Some(&text(after)));
    }

    /// A line for a change of a key.
    pub(super) fn key(&self, action: &'static str, tenant: &str, key: KeyId, after: Option<&impl Serialize>) {
        self.line(action, tenant, Some(key), None, after.map(text).as_deref());
    }

    fn line(&self, action: &'static str, tenant: &str, key: Option<KeyId>, before: Option<&str>, after: Option<&str>) {
        let key_id = key.as_ref().map(KeyId::as_str);
        tracing::info!(target: AUDIT_LOG, action, tenant, key_id, actor = "admin", address = %self.address, before, after, "changed");
    }
}

/// What the API shows of it.
fn text(resource: &impl Serialize) -> String {
    serde_json::to_string(resource).unwrap_or_default()
}

impl FromRequest for Audit {
    type Error = std::convert::Infallible;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let address = ClientAddress::from_request(request, payload);
        Box::pin(async move { Ok(Audit { address: address.await? }) })
    }
}
