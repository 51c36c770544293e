//! Sealed text: authenticated encryption under a key that no other text has.
//!
//! Under a parent key (a root key for data keys, a data key for records) each text gets a fresh random salt, and
//! HKDF-SHA256 (RFC 5869) gives for it a key for AES-256-GCM (NIST SP 800-38D) and a commitment to that key. So no key
//! ever comes near the 2^32 messages that SP 800-38D allows with random nonces, and a text cannot be made that opens
//! under two keys, which GCM alone does not rule out.
//!
//! As base64url without padding (RFC 4648), of these bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format, 1 |
//! | 8 | id of the root key |
//! | 4 | version of the data key, big endian; 0 where the parent is the root key |
//! | 32 | salt |
//! | 12 | nonce |
//! | 32 | commitment |
//! | rest | ciphertext and its tag of 16 |
//!
//! `HKDF(salt, parent key, "agentapi/vault/1" || the first 13 bytes)` gives 64 bytes: the key and the commitment.
//! Authenticated beside the text are the first 13 bytes and an encoding of the place where it belongs.

use super::root_key::RootKeyId;
use crate::base::id::{self, NoRandomness};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 256 bits that are zeroed when they are dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

const FORMAT: u8 = 1;
const PURPOSE: &[u8] = b"agentapi/vault/1";
const HEADER: usize = 13;
const SALT: usize = 32;
const NONCE: usize = 12;
const COMMITMENT: usize = 32;

/// Under which key a text was sealed. Read from the envelope itself, so a claim until the envelope opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) root: RootKeyId,
    /// 0 where the text is a data key, sealed under the root key itself.
    pub(super) data_key: u32,
}

impl Header {
    fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [FORMAT; HEADER];
        let rest = self.root.bytes().into_iter().chain(self.data_key.to_be_bytes());
        bytes.iter_mut().skip(1).zip(rest).for_each(|(place, byte)| *place = byte);
        bytes
    }

    fn parse(bytes: &[u8; HEADER]) -> Option<Header> {
        let (format, rest) = bytes.split_first()?;
        let (root, version) = rest.split_first_chunk::<8>()?;
        let data_key = u32::from_be_bytes(*version.first_chunk::<4>()?);
        (*format == FORMAT).then_some(Header { root: RootKeyId::from_bytes(*root), data_key })
    }

    /// What an envelope says of itself; nothing where it is none of this version.
    pub(super) fn of(envelope: &str) -> Option<Header> {
        // 18 characters are 13.5 bytes.
        let start = URL_SAFE_NO_PAD.decode(envelope.get(..20)?).ok()?;
        Header::parse(start.first_chunk()?)
    }
}

/// The key and the commitment of one text.
fn derive(parent: &Key, salt: &[u8; SALT], header: &[u8; HEADER]) -> (Key, [u8; COMMITMENT]) {
    let mut both = Zeroizing::new([0; 64]);
    let expanded = Hkdf::<Sha256>::new(Some(salt), &**parent).expand_multi_info(&[PURPOSE, header], &mut *both);
    debug_assert!(expanded.is_ok(), "64 bytes are within HKDF's range");
    let (mut key, mut commitment) = (Key::default(), [0; COMMITMENT]);
    key.iter_mut().chain(&mut commitment).zip(both.iter()).for_each(|(place, byte)| *place = *byte);
    (key, commitment)
}

fn authenticated(header: &[u8; HEADER], place: &[u8]) -> Vec<u8> {
    [header.as_slice(), place].concat()
}

/// Seals a text for a place.
pub(super) fn seal(parent: &Key, header: Header, place: &[u8], text: &[u8]) -> Result<String, NoRandomness> {
    let salt = id::random_bytes()?;
    seal_with(parent, header, place, text, salt, id::random_bytes()?)
}

fn seal_with(
    parent: &Key,
    header: Header,
    place: &[u8],
    text: &[u8],
    salt: [u8; SALT],
    nonce: [u8; NONCE],
) -> Result<String, NoRandomness> {
    let header = header.bytes();
    let (key, commitment) = derive(parent, &salt, &header);
    let payload = Payload { msg: text, aad: &authenticated(&header, place) };
    // Fails only above 64 GiB, which no text here is.
    let sealed = Aes256Gcm::new((&*key).into()).encrypt(&Nonce::from(nonce), payload).map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode([&header, salt.as_slice(), &nonce, &commitment, &sealed].concat()))
}

/// Opens what [`seal`] made under this parent key for this place; nothing when anything of it is otherwise. Whatever
/// that is, the same work was done when it comes out, unless the text is too short to be an envelope at all.
pub(super) fn open(parent: &Key, place: &[u8], envelope: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = URL_SAFE_NO_PAD.decode(envelope).ok()?;
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (salt, rest) = rest.split_first_chunk::<SALT>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let (commitment, sealed) = rest.split_first_chunk::<COMMITMENT>()?;
    let (key, committed) = derive(parent, salt, header);
    let payload = Payload { msg: sealed, aad: &authenticated(header, place) };
    let opened = Aes256Gcm::new((&*key).into()).decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new);
    let is_committed = id::same_digest(commitment, &committed);
    opened.ok().filter(|_| is_committed)
}

#[cfg(test)]
mod tests;
