//! What is sealed: JSON in two envelopes, one of all that a client supplied, and one of that without the secrets. So
//! reading opens one envelope, and a list, which opens the second, never opens a secret.

use super::keys::RecordName;
use crate::base::id::NoRandomness;
use crate::base::json_object::JsonObject;
use crate::base::secret::Secret;
use crate::vault::{Context, DataKey, Opened, TenantVault, VaultError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
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

/// All of a token.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenWhole {
    pub(super) access_token: Sealable,
    pub(super) refresh_token: Option<Sealable>,
    pub(super) details: TokenDetails,
}

/// A token without its secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TokenDetails {
    pub(super) token_type: String,
    pub(super) scopes: Vec<String>,
    pub(super) metadata: JsonObject,
}

/// All of a provider.
#[derive(Serialize, Deserialize)]
pub(super) struct ProviderWhole {
    pub(super) client_secret: Sealable,
    pub(super) details: ProviderDetails,
}

/// A provider without the credentials of its client.
#[derive(Clone, Serialize, Deserialize)]
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
    Whole,
    Details,
}

impl RecordName {
    /// What kind of text it is.
    fn store(&self, part: Part) -> &'static str {
        match (self, part) {
            (RecordName::Token { .. }, Part::Whole) => "token",
            (RecordName::Token { .. }, Part::Details) => "token/details",
            (RecordName::Provider(_), Part::Whole) => "oauth-provider",
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
        sealed: &[u8],
    ) -> Result<Opened, VaultError> {
        let sealed = std::str::from_utf8(sealed).map_err(|_| VaultError::Unopenable)?;
        vault.open(sealed, Context { store: self.store(part), name: &self.parts(), version }).await
    }
}

/// The text that is sealed; `secrets` is how many bytes of secrets are in it.
pub(super) fn written(content: &impl Serialize, secrets: usize) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    // Room for all of them, each byte escaped, so that no part of one is left behind where the text was before it grew.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * secrets + 128));
    serde_json::to_writer(&mut *text, content).map_err(|_| VaultError::Unopenable)?;
    Ok(text)
}

/// Reads what was opened. What is not of this version counts as what does not open.
pub(super) fn read<T: DeserializeOwned>(opened: &Opened) -> Result<T, VaultError> {
    serde_json::from_slice(opened).map_err(|_| VaultError::Unopenable)
}
