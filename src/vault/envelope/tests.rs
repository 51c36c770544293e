//! The envelope against the standards that it stands on, an implementation that is not ours, and whoever changes a bit.

use super::*;
use proptest::prelude::*;

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u32> = hexadecimal.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn key(first: u8) -> Key {
    Key::new(std::array::from_fn(|at| first + at as u8))
}

fn header() -> Header {
    Header { root: RootKeyId::from_bytes(*b"\x53\x60\x53\xb2\x5a\x1a\xb7\xbb"), data_key: 3 }
}

/// Where the token of alice at google belongs, encoded by hand.
fn place() -> Vec<u8> {
    let mut place = 2u64.to_be_bytes().to_vec();
    for text in ["acme", "token/secrets", "alice", "google"] {
        place.extend((text.len() as u64).to_be_bytes());
        place.extend(text.as_bytes());
    }
    place.extend(7u64.to_be_bytes());
    place
}

const TEXT: &[u8] = br#"{"access_token":"x"}"#;

#[test]
fn aes_256_gcm_gives_what_the_specification_of_gcm_lists() {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13, 14 and 16.
    let long_key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let long_text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let zeros = |bytes: usize| "00".repeat(bytes);
    for (key, nonce, text, beside, sealed) in [
        (zeros(32), zeros(12), String::new(), "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (zeros(32), zeros(12), zeros(16), "", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
        (
            long_key.to_owned(),
            "cafebabefacedbaddecaf888".to_owned(),
            long_text.to_owned(),
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ] {
        let key: [u8; 32] = bytes(&key).try_into().unwrap();
        let nonce: [u8; 12] = bytes(&nonce).try_into().unwrap();
        let (cipher, nonce) = (Aes256Gcm::new((&key).into()), Nonce::from(nonce));
        let (text, beside) = (bytes(&text), bytes(beside));
        assert_eq!(cipher.encrypt(&nonce, Payload { msg: &text, aad: &beside }).unwrap(), bytes(sealed));
        assert_eq!(cipher.decrypt(&nonce, Payload { msg: &bytes(sealed), aad: &beside }).unwrap(), text);
    }
}

#[test]
fn hkdf_gives_what_rfc_5869_lists() {
    // Appendix A, test cases 1 and 3.
    let cases = [
        (
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        ("", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
    ];
    for (salt, info, expected) in cases {
        let mut derived = [0; 42];
        Hkdf::<Sha256>::new(Some(&bytes(salt)), &[0x0b; 22]).expand(&bytes(info), &mut derived).unwrap();
        assert_eq!(derived.as_slice(), bytes(expected));
    }
}

#[test]
fn an_envelope_is_the_one_that_another_implementation_makes() {
    // Computed with the Python package `cryptography`: HKDF, AESGCM and base64 of its standard library.
    let expected = "AVNgU7JaGre7AAAAA6WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlWlpaWlpaWlpaWlpabT_S46xMwXR7RoRSnMnFRdByJgJhw4bIlcah5F\
                    AovA-x3jlfU-nFct6AnBVkN8k-UFnXdNRocrhKKlMCiaMFxru5iR0";
    assert_eq!(seal_with(&key(32), header(), &place(), TEXT, [0xA5; 32], [0x5A; 12]).unwrap(), expected);
    assert_eq!(open(&key(32), &place(), expected).unwrap().as_slice(), TEXT);
    assert_eq!(Header::of(expected), Some(header()));
}

#[test]
fn an_envelope_with_any_one_bit_changed_does_not_open() {
    let sealed = URL_SAFE_NO_PAD.decode(seal(&key(32), header(), &place(), TEXT).unwrap()).unwrap();
    let opens = |bytes: &[u8]| open(&key(32), &place(), &URL_SAFE_NO_PAD.encode(bytes)).is_some();
    assert!(opens(&sealed));
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&changed), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(!opens(&sealed[..length]), "cut to {length}");
    }
    assert!(!opens(&[sealed.as_slice(), &[0]].concat()), "one byte more");
}

#[test]
fn each_character_of_an_envelope_counts() {
    let sealed = seal(&key(32), header(), &place(), TEXT).unwrap();
    for at in 0..sealed.len() {
        for other in ["A", "_", "=", "+", " ", "é"] {
            let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
            assert!(changed == sealed || open(&key(32), &place(), &changed).is_none(), "{other} at {at}");
        }
    }
}

/// A text that decrypts well under the key that a parent gives: only the commitment tells that it was sealed under another.
#[test]
fn what_decrypts_but_was_committed_to_another_key_does_not_open() {
    let sealed = URL_SAFE_NO_PAD.decode(seal(&key(32), header(), &place(), TEXT).unwrap()).unwrap();
    let mut other = sealed.clone();
    let commitment = HEADER + SALT + NONCE..HEADER + SALT + NONCE + COMMITMENT;
    other[commitment.clone()].copy_from_slice(&[7; COMMITMENT]);
    assert_ne!(sealed[commitment.clone()], other[commitment]);
    assert!(open(&key(32), &place(), &URL_SAFE_NO_PAD.encode(other)).is_none());
}

#[test]
fn no_two_envelopes_of_one_text_are_alike() {
    let (one, other) = (seal(&key(32), header(), &place(), TEXT), seal(&key(32), header(), &place(), TEXT));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    // Salt, nonce, commitment and text all differ, so the keys did.
    for at in (20..one.len() - 20).step_by(20) {
        assert_ne!(one[at..at + 20], other[at..at + 20], "at {at}");
    }
}

proptest! {
    #[test]
    fn what_was_sealed_opens_under_the_same_key_for_the_same_place_alone(
        text in prop::collection::vec(any::<u8>(), 0..300),
        parent in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
        place in prop::collection::vec(any::<u8>(), 0..60),
        elsewhere in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let (parent, other) = (Key::new(parent), Key::new(other));
        let sealed = seal(&parent, header(), &place, &text).unwrap();
        let opened = open(&parent, &place, &sealed).map(|opened| opened.to_vec());
        prop_assert_eq!(opened, Some(text));
        prop_assert_eq!(open(&parent, &elsewhere, &sealed).is_some(), place == elsewhere);
        prop_assert_eq!(open(&other, &place, &sealed).is_some(), parent == other);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&key(0), &[], &text).is_none());
        prop_assert!(open(&key(0), &[], &URL_SAFE_NO_PAD.encode(&bytes)).is_none());
        // What an envelope says of itself is believed by nobody before it opens.
        let _claim: Option<Header> = Header::of(&text);
    }
}
