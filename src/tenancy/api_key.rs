//! API keys: `agk_`, 16 characters of public id, 43 of secret, 6 of CRC-32 over all before it; 69 in all,
//! base62 after the prefix.
//!
//! The checksum is no protection: it lets a key that was cut off or mistyped be refused without asking
//! the backend, and lets scanners for leaked secrets be sure of what they found. Of the secret only a
//! SHA-256 is kept: it has 256 random bits, so a slow hash would add nothing.

use super::scope::Scopes;
use super::stored;
use super::tenant::Label;
use crate::base::clock::Timestamp;
use crate::base::id::{self, NoRandomness, SECRET_LENGTH};
use crate::base::secret::Secret;
use crate::base::text::TenantId;
use crate::db::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

const PREFIX: &str = "agk_";
const ID_LENGTH: usize = 16;
const CHECKSUM_LENGTH: usize = 6;
const LENGTH: usize = PREFIX.len() + ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH;

/// The public id of an API key: 16 base62 characters. Not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    /// Checks the text.
    pub fn parse(text: &str) -> Option<KeyId> {
        if id::is_base62(text) { text.as_bytes().try_into().ok().map(KeyId) } else { None }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        KeyId::parse(&text).ok_or_else(|| serde::de::Error::custom("is not the id of an API key"))
    }
}

/// An API key as a client presented it: well-formed, not known to be anybody's.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    id: KeyId,
    secret: &'a str,
}

impl<'a> PresentedKey<'a> {
    /// Checks length, prefix, alphabet and checksum; asks nobody.
    pub fn parse(text: &'a str) -> Option<PresentedKey<'a>> {
        let rest = text.strip_prefix(PREFIX)?;
        if text.len() != LENGTH || !id::is_base62(rest) {
            return None;
        }
        let (body, checksum) = text.split_at_checked(LENGTH - CHECKSUM_LENGTH)?;
        if !checksum.chars().eq(id::checksum(body)) {
            return None;
        }
        let (id, secret) = body.strip_prefix(PREFIX)?.split_at_checked(ID_LENGTH)?;
        Some(PresentedKey { id: KeyId::parse(id)?, secret })
    }

    /// Its public id.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

/// Shows the public id alone.
impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PresentedKey").field(&self.id).finish()
    }
}

/// The SHA-256 of a key's secret. Printed as a placeholder.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SecretDigest([u8; 32]);

impl SecretDigest {
    fn of(secret: &str) -> Self {
        SecretDigest(id::sha256(secret.as_bytes()))
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

impl Serialize for SecretDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for SecretDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(&*text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(SecretDigest).ok_or_else(|| serde::de::Error::custom("is not a SHA-256"))
    }
}

/// An API key as it is known to the server. Not serialisable, so that no answer can hold the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public id.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: Option<Label>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made, by the backend's clock.
    pub created_at: Timestamp,
    /// The end it was made with, by the backend's clock.
    pub expires_at: Option<Timestamp>,
    /// The end that a rotation gave it. Apart from the other, which its successor inherits.
    pub retires_at: Option<Timestamp>,
    digest: SecretDigest,
}

impl ApiKey {
    /// Makes a key; the secret beside it is the whole key and is shown this once.
    pub(super) fn issue(
        tenant: TenantId,
        name: Option<Label>,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(ApiKey, Secret), NoRandomness> {
        let id = id::random_base62(ID_LENGTH)?;
        let secret = Secret::new(id::random_base62(SECRET_LENGTH)?);
        let digest = SecretDigest::of(secret.expose());
        // The room is made at once: a string that grows leaves copies behind that nobody zeroes.
        let mut text = String::with_capacity(LENGTH);
        text.extend([PREFIX, &id, secret.expose()]);
        let checksum = id::checksum(&text);
        text.extend(checksum);
        // `random_base62` makes what `parse` takes.
        let id = KeyId::parse(&id).ok_or(NoRandomness)?;
        Ok((
            ApiKey { id, tenant, name, scopes, created_at: now, expires_at, retires_at: None, digest },
            Secret::new(text),
        ))
    }

    /// Whether the presented key is this one, in a time that does not depend on where the secrets differ.
    pub(super) fn is(&self, presented: &PresentedKey<'_>) -> bool {
        let same = id::same_digest(&SecretDigest::of(presented.secret).0, &self.digest.0);
        same && self.id == presented.id
    }

    /// HMAC-SHA256 under what is kept of the secret.
    pub(super) fn hmac(&self, message: &[u8]) -> [u8; 32] {
        id::hmac_sha256(&self.digest.0, message)
    }

    /// From when on it is refused.
    pub fn ends_at(&self) -> Option<Timestamp> {
        [self.expires_at, self.retires_at].into_iter().flatten().min()
    }

    /// Whether it is past its end.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.ends_at().is_some_and(|end| end <= now)
    }

    /// Reads a stored key.
    pub(super) fn read(bytes: &[u8]) -> Result<ApiKey, Error> {
        let record: Record<'_> = stored::read(bytes, "an API key")?;
        Ok(ApiKey {
            id: record.id,
            tenant: record.tenant.into_owned(),
            name: record.name.map(Cow::into_owned),
            scopes: Scopes::parse_known(&record.scopes),
            created_at: record.created_at,
            expires_at: record.expires_at,
            retires_at: record.retires_at,
            digest: record.secret_sha256,
        })
    }

    /// The key as it is stored.
    pub(super) fn write(&self) -> Result<Vec<u8>, Error> {
        stored::write(&Record {
            id: self.id,
            tenant: Cow::Borrowed(&self.tenant),
            name: self.name.as_ref().map(Cow::Borrowed),
            scopes: self.scopes.to_list(),
            secret_sha256: self.digest,
            created_at: self.created_at,
            expires_at: self.expires_at,
            retires_at: self.retires_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    id: KeyId,
    tenant: Cow<'a, TenantId>,
    #[serde(default)]
    name: Option<Cow<'a, Label>>,
    scopes: Vec<String>,
    secret_sha256: SecretDigest,
    #[serde(deserialize_with = "stored::time")]
    created_at: Timestamp,
    #[serde(default, deserialize_with = "stored::optional_time")]
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "stored::optional_time", skip_serializing_if = "Option::is_none")]
    retires_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn issue() -> (ApiKey, Secret) {
        let tenant = TenantId::parse("acme").unwrap();
        let name = Some(Label::parse("ci").unwrap());
        let scopes = Scopes::parse(["sessions:read"]).unwrap();
        ApiKey::issue(tenant, name, scopes, None, Timestamp::from_millis(1_769_846_400_000)).unwrap()
    }

    fn secret_part(key: &Secret) -> &str {
        PresentedKey::parse(key.expose()).unwrap().secret
    }

    #[test]
    fn an_issued_key_has_its_form_and_is_recognised() {
        let (key, secret) = issue();
        assert_eq!(secret.expose().len(), 69);
        assert!(secret.expose().starts_with(&format!("agk_{}", key.id)));
        let presented = PresentedKey::parse(secret.expose()).unwrap();
        assert_eq!(presented.id(), key.id);
        assert!(key.is(&presented));
        let (other, _) = issue();
        assert!(!other.is(&presented));
        let same_id = ApiKey { id: key.id, ..other };
        assert!(!same_id.is(&presented), "the secret decides");
    }

    #[test]
    fn any_single_wrong_character_is_noticed_without_asking_anybody() {
        let (_, secret) = issue();
        for place in 0..69 {
            let whole = secret.expose().as_bytes();
            for wrong in b"0Az~_".iter().filter(|wrong| **wrong != whole[place]) {
                let mut bytes = whole.to_vec();
                bytes[place] = *wrong;
                assert!(PresentedKey::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "{place}");
            }
        }
        for cut in 0..69 {
            assert!(PresentedKey::parse(secret.expose().get(..cut).unwrap()).is_none());
        }
        assert!(PresentedKey::parse(&format!("{}0", secret.expose())).is_none());
        assert!(PresentedKey::parse(&format!(" {}", secret.expose())).is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_stumble(text in "(agk_)?\\PC{0,80}") {
            prop_assert!(PresentedKey::parse(&text).is_none());
        }
    }

    #[test]
    fn a_stored_key_is_read_back_and_holds_no_secret() {
        let (mut key, secret) = issue();
        key.expires_at = Some(key.created_at + std::time::Duration::from_secs(60));
        let text = String::from_utf8(key.write().unwrap()).unwrap();
        assert_eq!(ApiKey::read(text.as_bytes()).unwrap(), key);
        assert!(text.contains(r#""scopes":["sessions:read"],"secret_sha256":""#), "{text}");
        let secret_part = secret_part(&secret);
        assert!(!text.contains(secret_part));
        assert!(text.contains(&id::fingerprint(secret_part)), "what stands there is the digest");
    }

    #[test]
    fn nothing_of_a_key_but_its_id_is_printed() {
        let (key, secret) = issue();
        let presented = PresentedKey::parse(secret.expose()).unwrap();
        let digest = id::fingerprint(secret_part(&secret));
        let printed = format!("{key:?} {presented:?} {secret:?}");
        assert!(!printed.contains(secret_part(&secret)) && !printed.contains(&digest), "{printed}");
    }

    #[test]
    fn a_record_that_is_not_a_key_is_an_error_that_quotes_nothing() {
        for bad in ["", "{}", "null", r#"{"id":"secret-value"}"#] {
            let error = ApiKey::read(bad.as_bytes()).unwrap_err();
            assert_eq!(error, Error::unexpected("an API key"), "{bad}");
        }
    }

    #[test]
    fn a_key_expires_at_its_moment() {
        let (mut key, _) = issue();
        assert!(!key.is_expired(Timestamp::from_millis(u64::MAX)));
        key.expires_at = Some(Timestamp::from_millis(5));
        assert!(!key.is_expired(Timestamp::from_millis(4)));
        assert!(key.is_expired(Timestamp::from_millis(5)));
        key.retires_at = Some(Timestamp::from_millis(3));
        assert!(key.is_expired(Timestamp::from_millis(3)), "the earlier end counts");
    }
}
