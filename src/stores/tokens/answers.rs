//! What answers look like: the shapes of the HTTP API, from which it is described.

use super::oauth::AuthStyle;
use super::providers::Provider;
use super::types::{LeaseOutcome, Token, TokenStatus, TokenSummary};
use crate::base::clock::Timestamp;
use crate::base::duration::millis;
use crate::base::secret::Secret;
use crate::base::text::Name;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest that a waiter is told to wait: who has the lease is usually done long before it ends.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The one place where secrets of a token are written into an answer.
fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn expose_optional<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => expose(secret, serializer),
        None => serializer.serialize_none(),
    }
}

/// A token without its secrets.
#[derive(Serialize, JsonSchema)]
pub(super) struct SummaryAnswer {
    provider: Name,
    token_type: String,
    scopes: Vec<String>,
    /// When the access token ends; `null` if never.
    expires_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    refreshable: bool,
    /// `active`, `expired` or `revoked`.
    status: TokenStatus,
    metadata: Map<String, Value>,
    /// Counts its changes.
    version: u64,
    /// Under which of the tenant's data keys it is encrypted.
    key_version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<TokenSummary> for SummaryAnswer {
    fn from(summary: TokenSummary) -> Self {
        SummaryAnswer {
            provider: summary.provider,
            token_type: summary.token_type,
            scopes: summary.scopes,
            expires_at: summary.expires_at,
            refreshable: summary.is_refreshable,
            status: summary.status,
            metadata: summary.metadata,
            version: summary.version,
            key_version: summary.key_version,
            created_at: summary.created_at,
            updated_at: summary.updated_at,
        }
    }
}

/// A token.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenAnswer {
    #[serde(serialize_with = "expose")]
    #[schemars(with = "String")]
    access_token: Secret,
    /// `null` if there is none.
    #[serde(serialize_with = "expose_optional")]
    #[schemars(with = "Option<String>")]
    refresh_token: Option<Secret>,
    #[serde(flatten)]
    summary: SummaryAnswer,
}

impl From<Token> for TokenAnswer {
    fn from(token: Token) -> Self {
        let Token { summary, access_token, refresh_token, .. } = token;
        TokenAnswer { access_token, refresh_token, summary: summary.into() }
    }
}

/// Whether the caller is to refresh the token.
#[derive(Serialize, JsonSchema)]
pub(super) struct LeaseAnswer {
    granted: bool,
    /// To be sent as `X-Refresh-Lease` with the new token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "expose_optional")]
    #[schemars(with = "Option<String>")]
    lease: Option<Secret>,
    /// Grows with each lease of this token.
    #[serde(skip_serializing_if = "Option::is_none")]
    fencing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenAnswer>,
    /// When to come back, if it is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl LeaseAnswer {
    pub(super) fn is_granted(&self) -> bool {
        self.granted
    }

    /// Nothing for what is no answer but a refusal.
    pub(super) fn new(outcome: LeaseOutcome) -> Result<LeaseAnswer, LeaseOutcome> {
        match outcome {
            LeaseOutcome::Granted(leased) => Ok(LeaseAnswer {
                granted: true,
                lease: Some(Secret::new(leased.lease.expose().to_owned())),
                fencing: Some(leased.fencing),
                token: Some((*leased.token).into()),
                retry_after_ms: None,
            }),
            LeaseOutcome::Held(left) => Ok(LeaseAnswer {
                granted: false,
                lease: None,
                fencing: None,
                token: None,
                retry_after_ms: Some(millis(left.min(LONGEST_WAIT)).max(1)),
            }),
            refused => Err(refused),
        }
    }
}

/// A provider; its client secret is not shown.
#[derive(Serialize, JsonSchema)]
pub(super) struct ProviderAnswer {
    provider: Name,
    token_url: String,
    client_id: String,
    auth_style: AuthStyle,
    scopes: Vec<String>,
    refresh_before_ms: u64,
    /// Counts its changes.
    version: u64,
    /// Under which of the tenant's data keys it is encrypted.
    key_version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Provider> for ProviderAnswer {
    fn from(provider: Provider) -> Self {
        let Provider { name, settings, version, key_version, created_at, updated_at } = provider;
        ProviderAnswer {
            provider: name,
            token_url: settings.token_url,
            client_id: settings.client_id,
            auth_style: settings.auth_style,
            scopes: settings.scopes,
            refresh_before_ms: millis(settings.refresh_before),
            version,
            key_version,
            created_at,
            updated_at,
        }
    }
}
