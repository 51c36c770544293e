//! Floor 2: who is asking. Tenants, their API keys and scopes, and the [`Registry`] that tells on every
//! request whose key it is without asking the backend for it. Knows no HTTP and no store.

mod api_key;
mod cache;
mod change;
mod credential;
mod deletion;
mod derived_token;
mod freshness;
mod keys;
mod last_used;
mod listing;
mod manage_keys;
mod manage_tenants;
mod overrides;
mod purge;
mod recent_keys;
mod registry;
mod scope;
mod scripts;
mod steady_clock;
mod stored;
mod tenant;
#[cfg(test)]
mod tests;
pub mod transfer;

pub use api_key::{ApiKey, KeyId, PresentedKey};
pub use change::Change;
pub use credential::Credential;
pub use deletion::DELETE_TENANT;
pub use derived_token::Purpose;
pub use keys::{DELETION_FAMILIES, FAMILIES, tenant_key};
pub use listing::Listing;
pub use manage_keys::{ApiKeyInfo, IssueError, NewKey};
pub use manage_tenants::{TenantCreation, TenantUpdate};
pub use overrides::{Limits, LimitsChange, SessionLimitPolicy, SessionTtlPolicy, Settings, SettingsChange};
pub use purge::{Purge, Purged};
pub use recent_keys::RecentKeys;
pub use registry::{Identity, Registry, RegistrySettings, Verification};
pub use scope::{Access, Area, NotAScope, Scope, Scopes};
pub use scripts::SCRIPTS;
pub use steady_clock::SteadyClock;
pub use tenant::{Label, NewTenant, NotALabel, Status, Tenant, TenantChange};
