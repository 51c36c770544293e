//! OAuth tokens, encrypted, and what refreshing them takes: who may, and with which provider.
//!
//! A token and the settings of a provider are both a *sealed record*: a hash with two envelopes of the vault, one of all that
//! a client supplied, which readers open, and one of that without the secrets, for lists. `records` writes and reads them,
//! `store` and `providers` give them their meaning, `rewrap` exchanges the envelopes when keys change.

mod answers;
mod bodies;
mod content;
mod expiring;
mod keys;
mod leases;
mod metrics;
pub mod oauth;
mod providers;
mod records;
mod refreshing;
mod rewrap;
mod rotation;
pub mod routes;
mod scripts;
mod served;
mod store;
mod types;

pub use expiring::Expiring;
pub use keys::FAMILIES;
pub use metrics::TokenMetrics;
pub use providers::{OpenedProvider, Provider, ProviderSettings, Providers};
pub use rewrap::{Rewrapped, SealedRecords};
pub use rotation::{KeyChange, Rewrap, Rotate};
pub use scripts::SCRIPTS;
pub use served::Served;
pub use store::{Shared, Tokens};
pub use types::{
    Deleted, Error, LeaseId, LeaseOutcome, Leased, NewToken, Put, Read, Token, TokenPage, TokenStatus, TokenSummary,
};
