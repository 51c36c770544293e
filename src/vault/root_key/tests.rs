//! What is taken for a root key, and what of it is ever shown.

use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn read(variables: &[(&str, &str)]) -> Result<Option<KeyRing>, String> {
    let mut env = Env::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let ring = KeyRing::read(&mut env);
    env.finish().map(|()| ring).map_err(|mistakes| mistakes.to_string())
}

fn ids(ring: &KeyRing) -> Vec<String> {
    ring.ids().map(|id| id.to_string()).collect()
}

#[test]
fn a_key_is_hexadecimal_or_base64_of_32_bytes() {
    let same = [
        HEX.to_owned(),
        HEX.to_uppercase(),
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned(),
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned(),
    ];
    for text in same {
        let ring = read(&[(CURRENT, &text)]).unwrap().unwrap();
        assert_eq!(ids(&ring), ["536053b25a1ab7bb"], "{text}");
    }
    let alphabets = ["++++////++++////++++////++++////++++////+/8=", "----____----____----____----____----____-_8="];
    let [standard, url_safe] = alphabets.map(|text| ids(&read(&[(CURRENT, text)]).unwrap().unwrap()));
    assert_eq!(standard, url_safe);
}

#[test]
fn whatever_else_is_named_and_not_shown() {
    let long = "A".repeat(10_000);
    for bad in [
        "secret",
        &HEX[..62],
        &format!("{HEX}00"),
        &HEX.replace('0', "g"),
        &HEX.replacen("00", "+0", 1),
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
        "AAECAwQFBgcICQoLDA0O DxAREhMUFRYXGBkaGxwdHh8=",
        "+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_+_8=",
        &"00".repeat(32),
        &"a".repeat(64),
        &"é".repeat(32),
        &long,
    ] {
        let mistakes = read(&[(CURRENT, bad)]).unwrap_err();
        assert!(
            mistakes.contains("TOKEN_ENCRYPTION_KEY: is not 32 bytes") && mistakes.len() < 250,
            "{bad}: {mistakes}"
        );
        assert!(!mistakes.contains(bad), "{mistakes}");
        let previous = format!("{OTHER}, {bad}");
        let mistakes = read(&[(CURRENT, HEX), (PREVIOUS, &previous)]).unwrap_err();
        assert!(mistakes.contains("TOKEN_ENCRYPTION_KEYS_PREVIOUS: key 2 is not 32 bytes"), "{bad}: {mistakes}");
        assert!(!mistakes.contains(bad) && !mistakes.contains(OTHER), "{mistakes}");
    }
}

#[test]
fn the_ring_has_the_current_key_first_and_each_key_once() {
    let previous = format!("{OTHER},{HEX}");
    let ring = read(&[(CURRENT, HEX), (PREVIOUS, &previous)]).unwrap().unwrap();
    let [current, other] = &ids(&ring)[..] else { panic!("{ring:?}") };
    assert_eq!(current, "536053b25a1ab7bb");
    assert!(ring.has(RootKeyId::parse(other).unwrap()));
    assert_eq!(ring.current().0.to_string(), *current);
}

#[test]
fn previous_keys_without_a_current_one_are_a_mistake_and_nothing_at_all_is_none() {
    assert!(read(&[]).unwrap().is_none());
    let mistakes = read(&[(PREVIOUS, HEX)]).unwrap_err();
    assert!(mistakes.contains("TOKEN_ENCRYPTION_KEYS_PREVIOUS: is set without TOKEN_ENCRYPTION_KEY"), "{mistakes}");
}

#[test]
fn a_ring_shows_ids_alone() {
    let ring = read(&[(CURRENT, HEX)]).unwrap().unwrap();
    assert_eq!(format!("{ring:?}"), "[536053b25a1ab7bb]");
}

#[test]
fn an_id_is_read_from_what_it_is_written_as_alone() {
    let id = RootKeyId::parse("536053b25a1ab7bb").unwrap();
    assert_eq!(id.to_string(), "536053b25a1ab7bb");
    for bad in ["", "536053b25a1ab7b", "536053B25A1AB7BB", "+36053b25a1ab7bb", "536053b25a1ab7bb0"] {
        assert_eq!(RootKeyId::parse(bad), None, "{bad}");
    }
}
