//! Floor 2: what keeps secrets. Root keys come from the configuration and are in no backend. Each tenant has random data
//! keys, stored wrapped under a root key: destroying them makes all that was sealed under them unreadable, which
//! destroying a key that is merely derived could not. Each record is sealed under a key of its own, derived from a
//! data key. Knows no HTTP and no store.
//!
//! A store asks for the vault of its tenant ([`TenantVault`]), seals with the newest data key and opens with whichever a
//! record was sealed under.

mod data_key;
mod data_keys;
mod envelope;
mod keys;
mod root_key;
mod scripts;
mod stored;
mod tenant_vault;

pub use data_key::{Context, DataKey, Unopenable};
pub use data_keys::Vault;
pub use keys::FAMILIES;
pub use root_key::{KeyRing, RootKeyId};
pub use scripts::SCRIPTS;
pub use stored::StoredKey;
pub use tenant_vault::{Opened, TenantVault, VaultError};
