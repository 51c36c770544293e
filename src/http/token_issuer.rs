//! Short-lived tokens for the caller, for what it opens where it can send nothing but a URL.

use super::problem::Problem;
use super::request::{FromRequest, Request, outside};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::tenancy::{ApiKey, Purpose};
use actix_web::dev::Payload;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Makes tokens that stand for the API key of the request.
pub struct TokenIssuer {
    key: Option<Arc<ApiKey>>,
    now: Timestamp,
}

impl TokenIssuer {
    /// A token that opens the rows that take this purpose, for so long: at most as long as the key lives. None for an
    /// operator, who has no key of the tenant's, and none for who came with a token: it would never end.
    pub fn issue(&self, purpose: Purpose, lifetime: Duration) -> Option<Secret> {
        Some(self.key.as_ref()?.derive_token(purpose, self.now + lifetime))
    }
}

impl FromRequest for TokenIssuer {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        let principal = request.principal().ok_or_else(outside)?;
        let key = principal.key().filter(|_| principal.token_ends_at.is_none()).cloned();
        Ok(TokenIssuer { key, now: request.platform.registry().now() })
    }
}
