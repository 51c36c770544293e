//! Data keys: what a tenant's records are sealed under.

use super::envelope::{self, Header, Key};
use super::root_key::{KeyRing, RootKeyId};
use crate::base::id::{self, NoRandomness};
use crate::base::text::TenantId;
use zeroize::Zeroizing;

/// The text was not sealed with this key for this place. Which of the two, or what else, is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is sealed does not open")]
pub struct Unopenable;

/// Where a text belongs, beside its tenant. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What kind of record it is, such as `token/secrets`.
    pub store: &'static str,
    /// The record's name, in parts, such as user and provider.
    pub name: &'a [&'a str],
    /// The record's version.
    pub version: u64,
}

impl Context<'_> {
    /// Injective: each text with its length before it, and how many parts the name has.
    fn encoded(&self, tenant: &TenantId) -> Vec<u8> {
        let texts = [tenant.as_str(), self.store].into_iter().chain(self.name.iter().copied());
        let mut encoded = Vec::with_capacity(128);
        encoded.extend_from_slice(&length(self.name.len()));
        for text in texts {
            encoded.extend_from_slice(&length(text.len()));
            encoded.extend_from_slice(text.as_bytes());
        }
        encoded.extend_from_slice(&self.version.to_be_bytes());
        encoded
    }
}

fn length(of: usize) -> [u8; 8] {
    (of as u64).to_be_bytes()
}

/// One of a tenant's data keys, unwrapped.
pub struct DataKey {
    tenant: TenantId,
    root: RootKeyId,
    version: u32,
    key: Key,
}

/// Where a wrapped data key belongs.
fn wrapped_at(version: u32) -> Context<'static> {
    Context { store: "data-key", name: &[], version: u64::from(version) }
}

impl DataKey {
    /// A random one, and how it is stored: wrapped under the current root key.
    pub(super) fn generate(ring: &KeyRing, tenant: &TenantId, version: u32) -> Result<(DataKey, String), NoRandomness> {
        let (root, parent) = ring.current();
        let key = Zeroizing::new(id::random_bytes()?);
        let place = wrapped_at(version).encoded(tenant);
        let wrapped = envelope::seal(parent, Header { root, data_key: 0 }, &place, &*key)?;
        Ok((DataKey { tenant: tenant.clone(), root, version, key }, wrapped))
    }

    /// The root key under which a stored one is wrapped; nothing where it is no wrapped key of this format.
    pub(super) fn root_of(wrapped: &str) -> Option<RootKeyId> {
        Header::of(wrapped).filter(|header| header.data_key == 0).map(|header| header.root)
    }

    /// Unwraps a stored one under its root key.
    pub(super) fn unwrap(
        root: RootKeyId,
        parent: &Key,
        tenant: &TenantId,
        version: u32,
        wrapped: &str,
    ) -> Result<DataKey, Unopenable> {
        let key = envelope::open(parent, &wrapped_at(version).encoded(tenant), wrapped).ok_or(Unopenable)?;
        let key = Key::new(key.as_slice().try_into().map_err(|_| Unopenable)?);
        Ok(DataKey { tenant: tenant.clone(), root, version, key })
    }

    /// Which of the tenant's data keys it is, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The root key under which it is wrapped.
    pub fn root(&self) -> RootKeyId {
        self.root
    }

    /// Seals a text for its place: base64url, about a third longer than the text and 140 characters.
    pub fn seal(&self, text: &[u8], context: Context<'_>) -> Result<String, NoRandomness> {
        let header = Header { root: self.root, data_key: self.version };
        envelope::seal(&self.key, header, &context.encoded(&self.tenant), text)
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, sealed: &str, context: Context<'_>) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        envelope::open(&self.key, &context.encoded(&self.tenant), sealed).ok_or(Unopenable)
    }

    /// Which data key a sealed text claims to be sealed under.
    pub(super) fn version_of(sealed: &str) -> Option<u32> {
        Header::of(sealed).map(|header| header.data_key).filter(|version| *version > 0)
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("version", &self.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
