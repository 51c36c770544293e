//! Keys derived from a credential (HKDF-SHA256, RFC 5869), and what is sealed with them (AES-256-GCM,
//! NIST SP 800-38D).

use crate::base::id::{NoRandomness, random_bytes};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;

/// The bytes of a nonce.
const NONCE: usize = 12;

/// What one credential and one `Idempotency-Key` give.
pub(super) struct Seal(Hkdf<Sha256>);

impl Seal {
    pub(super) fn new(credential: &str, key: &str) -> Self {
        Seal(Hkdf::new(Some(key.as_bytes()), credential.as_bytes()))
    }

    fn derive(&self, purpose: &[&[u8]]) -> [u8; 32] {
        let mut bytes = [0; 32];
        let expanded = self.0.expand_multi_info(purpose, &mut bytes);
        debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's range");
        bytes
    }

    /// The name under which the record is kept, 43 characters.
    pub(super) fn name(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(&[b"name"]))
    }

    /// What tells this request from another with the same key, 43 characters.
    pub(super) fn proof(&self, fingerprint: &[u8; 32]) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(&[b"request", fingerprint]))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&self.derive(&[b"answer"])).into())
    }

    /// Seals a text, bound to the request.
    pub(super) fn seal(&self, plain: &[u8], proof: &str) -> Result<String, NoRandomness> {
        let nonce: [u8; NONCE] = random_bytes()?;
        let payload = Payload { msg: plain, aad: proof.as_bytes() };
        // Fails only above 64 GiB, which no answer is.
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| NoRandomness)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Seal::seal`] made; nothing when it was made otherwise.
    pub(super) fn open(&self, sealed: &str, proof: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        self.cipher().decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: proof.as_bytes() }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_the_same_credential_key_and_request_alone(
            plain in prop::collection::vec(any::<u8>(), 0..200), credential in "[a-z]{1,8}", key in "[a-z]{1,8}", other in "[A-Z]{1,8}",
        ) {
            let seal = Seal::new(&credential, &key);
            let sealed = seal.seal(&plain, "proof").unwrap();
            prop_assert_eq!(seal.open(&sealed, "proof"), Some(plain));
            prop_assert_eq!(seal.open(&sealed, &other), None);
            prop_assert_eq!(Seal::new(&other, &key).open(&sealed, "proof"), None);
            prop_assert_eq!(Seal::new(&credential, &other).open(&sealed, "proof"), None);
        }

        #[test]
        fn no_text_makes_it_panic(sealed in "\\PC{0,80}") {
            prop_assert_eq!(Seal::new("a", "b").open(&sealed, "c"), None);
        }
    }
}
