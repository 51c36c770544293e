//! What goes in and comes out, apart from how it is stored.

use crate::base::clock::Timestamp;
use crate::base::id;
use crate::base::json_object::JsonObject;
use crate::base::secret::Secret;
use crate::base::text::Name;
use crate::db;
use crate::vault::VaultError;
use std::time::Duration;

/// A failure that is no outcome of the operation itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing can be sealed or opened, or the backend failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Others kept changing the record; nothing was written.
    #[error("others kept changing the record")]
    Contended,
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        Error::Vault(error.into())
    }
}

impl From<id::NoRandomness> for Error {
    fn from(error: id::NoRandomness) -> Self {
        Error::Vault(error.into())
    }
}

/// A token as a client supplies it.
#[derive(Clone)]
pub struct NewToken {
    /// What opens the provider's API.
    pub access_token: Secret,
    /// What gets another access token.
    pub refresh_token: Option<Secret>,
    /// As in RFC 6749, section 7.1.
    pub token_type: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// Whatever the client wants to keep with it.
    pub metadata: JsonObject,
}

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It can, or can be refreshed.
    Active,
    /// It is past its end and has no refresh token.
    Expired,
    /// The provider does not take its refresh token any more.
    Revoked,
}

/// A token without its secrets.
#[derive(Clone)]
pub struct TokenSummary {
    /// Of which provider.
    pub provider: Name,
    /// As in RFC 6749, section 7.1.
    pub token_type: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a refresh token.
    pub is_refreshable: bool,
    /// Whether it can be used.
    pub status: TokenStatus,
    /// Whatever the client keeps with it.
    pub metadata: JsonObject,
    /// Counts its changes, from 1.
    pub version: u64,
    /// The version of the data key under which it is sealed.
    pub key_version: u32,
    /// When it was stored first, by the backend's clock.
    pub created_at: Timestamp,
    /// When it was stored last, by the backend's clock.
    pub updated_at: Timestamp,
}

/// A token, opened.
#[derive(Clone)]
pub struct Token {
    /// All but its secrets.
    pub summary: TokenSummary,
    /// What opens the provider's API.
    pub access_token: Secret,
    /// What gets another access token.
    pub refresh_token: Option<Secret>,
    /// Before which the server does not try again to refresh it.
    pub retry_at: Option<Timestamp>,
}

/// What came of reading.
#[derive(Clone)]
pub enum Read {
    /// The token.
    Found(Box<Token>),
    /// There is none, or what there is does not open.
    NotFound,
    /// It is past its end and has no refresh token.
    Expired,
    /// The provider does not take its refresh token any more.
    Revoked,
}

/// What came of storing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<T> {
    /// Stored.
    Stored {
        /// What was stored, without its secrets.
        stored: Box<T>,
        /// Whether there was none before.
        is_new: bool,
    },
    /// It is not at the version that was asked for.
    VersionMismatch,
    /// The lease is not in force any more.
    LeaseLost,
    /// There are as many as there may be.
    LimitReached,
}

/// What came of deleting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Destroyed.
    Deleted,
    /// There was none.
    NotFound,
    /// It is not at the version that was asked for.
    VersionMismatch,
}

/// A page of a user's tokens.
#[derive(Clone)]
pub struct TokenPage {
    /// By provider.
    pub items: Vec<TokenSummary>,
    /// The provider after which the list goes on; nothing at its end.
    pub next: Option<String>,
}

/// What tells a lease from others: 256 random bits. In the backend there is only its SHA-256.
#[derive(Clone)]
pub struct LeaseId(Secret);

impl LeaseId {
    /// A new one.
    pub fn random() -> Result<LeaseId, id::NoRandomness> {
        Ok(LeaseId(Secret::new(id::random_base64url()?)))
    }

    /// What a client presents: whatever it is, it is either the last one given or not.
    pub fn presented(text: &str) -> LeaseId {
        LeaseId(Secret::new(text.to_owned()))
    }

    /// The lease itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(super) fn digest(&self) -> String {
        id::fingerprint(self.0.expose())
    }
}

/// The right to refresh a token.
#[derive(Clone)]
pub struct Leased {
    /// What commits it.
    pub lease: LeaseId,
    /// Grows with each lease of the token.
    pub fencing: u64,
    /// The token as it is.
    pub token: Box<Token>,
}

/// What came of asking for a lease.
#[derive(Clone)]
pub enum LeaseOutcome {
    /// It is the caller's.
    Granted(Leased),
    /// Somebody else has it, for so long at the most.
    Held(Duration),
    /// There is no token, or what there is does not open.
    NotFound,
    /// The token is past its end and has no refresh token.
    Expired,
    /// The provider does not take its refresh token any more.
    Revoked,
}
