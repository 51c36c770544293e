//! What is sealed: JSON in two envelopes, one of secrets and one of all else that a client supplied. A list opens the
//! second one alone.

use super::keys::RecordName;
use crate::base::id::NoRandomness;
use crate::base::secret::Secret;
use crate::vault::{Context, DataKey, Opened, TenantVault, VaultError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// A secret that goes into an envelope, and nowhere else.
pub(super) struct Sealable(pub(super) Secret);

impl Serialize for Sealable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Sealable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new).map(Sealable)
    }
}

/// The secrets of a token.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenSecrets {
    pub(super) access_token: Sealable,
    pub(super) refresh_token: Option<Sealable>,
}

/// All else that a client supplied with a token.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenDetails {
    pub(super) token_type: String,
    pub(super) scopes: Vec<String>,
    pub(super) metadata: Map<String, Value>,
}

/// The credentials of a client at its provider.
#[derive(Serialize, Deserialize)]
pub(super) struct ProviderSecrets {
    pub(super) client_secret: Sealable,
}

/// All else that is set for a provider.
#[derive(Serialize, Deserialize)]
pub(super) struct ProviderDetails {
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) auth_style: super::oauth::AuthStyle,
    pub(super) scopes: Vec<String>,
    pub(super) refresh_before_ms: u64,
}

/// One of the two envelopes.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Secrets,
    Details,
}

impl RecordName {
    /// What kind of text it is.
    fn store(&self, part: Part) -> &'static str {
        match (self, part) {
            (RecordName::Token { .. }, Part::Secrets) => "token/secrets",
            (RecordName::Token { .. }, Part::Details) => "token/details",
            (RecordName::Provider(_), Part::Secrets) => "oauth-provider/secrets",
            (RecordName::Provider(_), Part::Details) => "oauth-provider/details",
        }
    }

    fn parts(&self) -> Vec<&str> {
        match self {
            RecordName::Token { user, provider } => vec![user.as_str(), provider.as_str()],
            RecordName::Provider(provider) => vec![provider.as_str()],
        }
    }

    /// Seals a part of this record at this version.
    pub(super) fn seal(&self, key: &DataKey, part: Part, version: u64, text: &[u8]) -> Result<String, NoRandomness> {
        key.seal(text, Context { store: self.store(part), name: &self.parts(), version })
    }

    /// Opens a part of this record at this version.
    pub(super) async fn open(
        &self,
        vault: &TenantVault,
        part: Part,
        version: u64,
        sealed: &str,
    ) -> Result<Opened, VaultError> {
        vault.open(sealed, Context { store: self.store(part), name: &self.parts(), version }).await
    }
}

/// The text that is sealed.
pub(super) fn written(content: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    // Room for most, so that no part of a secret is left behind where the text was before it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *text, content).map_err(|_| VaultError::Unopenable)?;
    Ok(text)
}

/// Reads what was opened. What is not of this version counts as what does not open.
pub(super) fn read<T: DeserializeOwned>(opened: &Opened) -> Result<T, VaultError> {
    serde_json::from_slice(opened).map_err(|_| VaultError::Unopenable)
}
