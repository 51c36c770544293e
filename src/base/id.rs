//! Random text and digests of it. Chance comes from the operating system's generator alone.

use crate::base::clock::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::time::Duration;
use subtle::{Choice, ConstantTimeEq};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Base62 characters that hold at least 256 random bits: 43 times log2(62) is 256.03.
pub const SECRET_LENGTH: usize = 43;

/// The operating system has no randomness to give.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct NoRandomness;

/// Fills an array with random bytes.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A random part of a pause, so that those who wait do not come in step; half of it where there is no chance.
pub fn random_part(longest: Duration) -> Duration {
    let [part] = random_bytes().unwrap_or([128]);
    longest * u32::from(part) / 255
}

/// `length` characters of `[0-9A-Za-z]`, each uniformly chosen.
pub fn random_base62(length: usize) -> Result<String, NoRandomness> {
    let mut text = String::with_capacity(length);
    loop {
        for byte in random_bytes::<64>()? {
            if text.len() == length {
                return Ok(text);
            }
            // 248 is the largest multiple of 62 in a byte: what lies above would favour some characters.
            if let (true, Some(c)) = (byte < 248, ALPHABET.get(usize::from(byte % 62))) {
                text.push(char::from(*c));
            }
        }
    }
}

/// Whether every character is one of `[0-9A-Za-z]`.
pub fn is_base62(text: &str) -> bool {
    // All of them, whatever the first are: that is done many bytes at a time.
    text.bytes().fold(true, |all, b| all & b.is_ascii_alphanumeric())
}

/// What a mistyped text is known by: its CRC-32 in base62, padded with zeros to six characters, which is what 32 bits need.
pub fn checksum(text: &str) -> [char; 6] {
    base62(crc32fast::hash(text.as_bytes()))
}

fn base62(mut number: u32) -> [char; 6] {
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        if let Some(c) = ALPHABET.get((number % 62) as usize) {
            *digit = char::from(*c);
        }
        number /= 62;
    }
    digits
}

/// 256 random bits in base64url without padding: 43 characters of `[0-9A-Za-z_-]`.
pub fn random_base64url() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

/// Whether the text has the length and the alphabet of [`random_base64url`] and of [`fingerprint`].
pub fn is_base64url_256(text: &str) -> bool {
    text.len() == SECRET_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// 256 bits that follow from a secret and a salt, different for each purpose (HKDF-SHA256, RFC 5869), in
/// base64url as [`random_base64url`] makes them. Who lacks the secret learns nothing from the salt.
pub fn derived_base64url(secret: &str, salt: &str, purpose: &str) -> Result<String, NoRandomness> {
    let mut bytes = [0; 32];
    Hkdf::<Sha256>::new(Some(salt.as_bytes()), secret.as_bytes())
        .expand(purpose.as_bytes(), &mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA256 (RFC 2104).
pub fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // As long as a block, to which shorter keys are filled up with zeros anyway: so none is of a wrong length.
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    Hmac::<Sha256>::new(&block.into()).chain_update(message).finalize().into_bytes().into()
}

/// What tells a text from every other, and stands in the backend in place of a secret: its SHA-256 in base64url without
/// padding, 43 characters.
pub fn fingerprint(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()))
}

/// Whether two digests are equal, in a time that does not depend on where they differ.
pub fn same_digest(a: &[u8; 32], b: &[u8; 32]) -> bool {
    // Eight bytes at a time, which tells no more than one at a time.
    words(a).zip(words(b)).fold(Choice::from(1), |same, (a, b)| same & a.ct_eq(&b)).into()
}

fn words(digest: &[u8; 32]) -> impl Iterator<Item = u64> {
    digest.as_chunks().0.iter().copied().map(u64::from_ne_bytes)
}

/// A UUID of version 7 (RFC 9562) as ASCII text; sorts by time. To be told apart, not to be kept secret: its
/// randomness is a thread's own SplitMix64 sequence, for a system call per request would cost more than
/// all the rest of the id.
pub fn uuid_v7(now: Timestamp) -> [u8; 36] {
    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }
    let next = || {
        let seed = || random_bytes().map_or_else(|_| now.as_millis(), u64::from_ne_bytes);
        let state = STATE.get().unwrap_or_else(seed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    let random = u128::from(next()) << 64 | u128::from(next());
    let [random @ .., _, _, _, _, _, _] = random.to_ne_bytes();
    let mut text = [0; 36];
    uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random)
        .into_uuid()
        .hyphenated()
        .encode_lower(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn random_text_has_its_length_its_alphabet_and_does_not_repeat() {
        let mut seen = HashSet::new();
        let mut characters = HashSet::new();
        for _ in 0..500 {
            let text = random_base62(SECRET_LENGTH).unwrap();
            assert_eq!(text.len(), SECRET_LENGTH);
            assert!(is_base62(&text));
            characters.extend(text.bytes());
            assert!(seen.insert(text));
        }
        assert_eq!(characters.len(), 62, "21,500 draws show every character");
    }

    #[test]
    fn request_ids_are_uuids_of_version_7_that_sort_by_time_and_do_not_repeat() {
        let mut seen = HashSet::new();
        for millis in 1_700_000_000_000..1_700_000_001_000 {
            let id = uuid_v7(Timestamp::from_millis(millis));
            let parsed = uuid::Uuid::try_parse_ascii(&id).unwrap();
            assert_eq!(parsed.get_version_num(), 7);
            assert_eq!(parsed.get_timestamp().unwrap().to_unix().0, millis / 1000);
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn a_checksum_is_six_characters() {
        assert_eq!(base62(0), ['0'; 6]);
        assert_eq!(base62(61), ['0', '0', '0', '0', '0', 'z']);
        assert_eq!(base62(u32::MAX), ['4', 'g', 'f', 'F', 'C', '3']);
    }

    #[test]
    fn an_hmac_is_that_of_rfc_4231() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let hex: String = hmac_sha256(&key, b"Hi There").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn digests_are_the_same_where_every_bit_is() {
        let digest = sha256(b"abc");
        assert!(same_digest(&digest, &sha256(b"abc")));
        for bit in 0..256 {
            let mut other = digest;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same_digest(&digest, &other), "bit {bit}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_sha_256_in_base64url() {
        assert_eq!(fingerprint("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(fingerprint("").len(), 43);
    }
}
