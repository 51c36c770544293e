//! Root keys: 256 bits each from the configuration, under which data keys are wrapped. They are in no backend.

use super::envelope::Key;
use crate::base::env::{Env, Variable};
use crate::base::id::{self, NoRandomness};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

const CURRENT: &str = "TOKEN_ENCRYPTION_KEY";
const PREVIOUS: &str = "TOKEN_ENCRYPTION_KEYS_PREVIOUS";
const MUST: &str = "is not 32 bytes as 64 hexadecimal digits or base64 (openssl rand -hex 32)";

/// What a root key is called where it must not be shown: 64 bits that follow from it by HKDF-SHA256, as 16 hexadecimal
/// digits. They say nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootKeyId([u8; 8]);

impl RootKeyId {
    pub(super) fn from_bytes(bytes: [u8; 8]) -> RootKeyId {
        RootKeyId(bytes)
    }

    pub(super) fn bytes(self) -> [u8; 8] {
        self.0
    }

    fn of(key: &Key) -> RootKeyId {
        let mut id = [0; 8];
        let expanded = Hkdf::<Sha256>::new(None, &**key).expand(b"agentapi/vault/root-key-id", &mut id);
        debug_assert!(expanded.is_ok(), "8 bytes are within HKDF's range");
        RootKeyId(id)
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<RootKeyId> {
        let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)?;
        let id = RootKeyId(number.to_be_bytes());
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct RootKey {
    id: RootKeyId,
    key: Key,
}

impl RootKey {
    fn new(key: Key) -> RootKey {
        RootKey { id: RootKeyId::of(&key), key }
    }

    /// 64 hexadecimal digits, or the base64 of 32 bytes in either alphabet, with or without padding (RFC 4648). Bytes that
    /// are all the same are nobody's random key.
    fn parse(text: &str) -> Option<RootKey> {
        let hexadecimal = || {
            let mut key = Key::default();
            for (place, at) in key.iter_mut().zip((0..).step_by(2)) {
                let digits = text.get(at..at + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
                *place = u8::from_str_radix(digits, 16).ok()?;
            }
            Some(key)
        };
        let base64 = || {
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let either =
                [alphabet::STANDARD, alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(&alphabet, config));
            let bytes = either.iter().find_map(|engine| engine.decode(text).ok()).map(Zeroizing::new)?;
            Some(Key::new(bytes.as_slice().try_into().ok()?))
        };
        let key = if text.len() == 64 { hexadecimal() } else { base64() }?;
        let [first, ..] = *key;
        key.iter().any(|byte| *byte != first).then(|| RootKey::new(key))
    }
}

/// The root keys of this process: the one that is used, and those under which something may still be wrapped.
#[derive(Clone)]
pub struct KeyRing {
    current: Arc<RootKey>,
    previous: Arc<[RootKey]>,
}

impl KeyRing {
    /// Reads the variables; nothing where there is no current key.
    pub fn read(env: &mut Env) -> Option<KeyRing> {
        let current = env.secret(Variable::new(CURRENT, "Root key of the vault, 32 bytes as 64 hexadecimal digits or base64 (openssl rand -hex 32). Without one the token endpoints answer 503; on the embedded backend one is made for its lifetime."));
        let previous = env.secret(Variable::new(PREVIOUS, "Root keys that were used before, comma separated. A key may go when GET /admin/v1/vault says that nothing needs it."));
        let mut keys = Vec::new();
        for (place, text) in previous.iter().flat_map(|list| list.expose().split(',')).enumerate() {
            match RootKey::parse(text.trim()) {
                Some(key) => keys.push(key),
                None => env.mistake(PREVIOUS, &format!("key {} {MUST}", place + 1)),
            }
        }
        let Some(current) = current else {
            if previous.is_some() {
                env.mistake(PREVIOUS, &format!("is set without {CURRENT}"));
            }
            return None;
        };
        let current = RootKey::parse(current.expose());
        if current.is_none() {
            env.mistake(CURRENT, MUST);
        }
        current.map(|current| KeyRing::new(current, keys))
    }

    /// A ring of one random key, for what does not outlive this process.
    pub fn random() -> Result<KeyRing, NoRandomness> {
        Ok(KeyRing::new(RootKey::new(Zeroizing::new(id::random_bytes()?)), Vec::new()))
    }

    fn new(current: RootKey, mut previous: Vec<RootKey>) -> KeyRing {
        // Whoever brings a new key to all servers first may name the same one twice.
        previous.retain(|key| key.id != current.id);
        KeyRing { current: Arc::new(current), previous: previous.into() }
    }

    /// The one that is used.
    pub(super) fn current(&self) -> (RootKeyId, &Key) {
        (self.current.id, &self.current.key)
    }

    fn all(&self) -> impl Iterator<Item = &RootKey> {
        std::iter::once(&*self.current).chain(self.previous.iter())
    }

    /// The key of this id.
    pub(super) fn get(&self, id: RootKeyId) -> Option<&Key> {
        self.all().find(|key| key.id == id).map(|key| &key.key)
    }

    /// Whether there is a key of this id.
    pub fn has(&self, id: RootKeyId) -> bool {
        self.get(id).is_some()
    }

    /// The ids of all of them, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = RootKeyId> {
        self.all().map(|key| key.id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests;
