//! Where something opens that was sealed for a place: there, and nowhere else.

use super::*;
use crate::base::env::Env;
use proptest::prelude::*;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

fn ring(digit: char) -> KeyRing {
    let key = format!("0123456789abcde{digit}").repeat(4);
    KeyRing::read(&mut Env::new([("TOKEN_ENCRYPTION_KEY".to_owned(), key)])).unwrap()
}

fn data_key(of: &str) -> DataKey {
    DataKey::generate(&ring('f'), &tenant(of), 1).unwrap().0
}

/// The same secret in another tenant's hands: what whoever could swap data keys would have.
fn given_to(key: &DataKey, other: &str) -> DataKey {
    DataKey { tenant: tenant(other), root: key.root, version: key.version, key: key.key.clone() }
}

#[test]
fn a_record_that_was_moved_to_another_name_does_not_open() {
    let key = data_key("acme");
    let home = Context { store: "token/secrets", name: &["alice", "google"], version: 3 };
    let sealed = key.seal(b"secret", home).unwrap();
    assert_eq!(key.open(&sealed, home).unwrap().as_slice(), b"secret");
    for elsewhere in [
        Context { store: "token/details", ..home },
        Context { name: &["bob", "google"], ..home },
        Context { name: &["alice", "github"], ..home },
        Context { name: &["google", "alice"], ..home },
        Context { name: &["alicegoogle"], ..home },
        Context { name: &["alice", "google", ""], ..home },
        Context { name: &["aliceg", "oogle"], ..home },
        Context { version: 2, ..home },
        Context { version: 4, ..home },
    ] {
        assert_eq!(key.open(&sealed, elsewhere), Err(Unopenable), "{elsewhere:?}");
    }
    assert_eq!(given_to(&key, "acme-2").open(&sealed, home), Err(Unopenable), "another tenant");
    assert_eq!(data_key("acme").open(&sealed, home), Err(Unopenable), "another data key");
}

#[test]
fn a_wrapped_data_key_opens_under_its_root_key_for_its_tenant_and_version_alone() {
    let (acme, f) = (tenant("acme"), ring('f'));
    let (key, wrapped) = DataKey::generate(&f, &acme, 7).unwrap();
    let root = DataKey::root_of(&wrapped).unwrap();
    assert_eq!((root, key.version()), (key.root(), 7));
    assert!(f.has(root) && !ring('e').has(root));
    let unwrap = |ring: &KeyRing, tenant: &TenantId, version| {
        let (_, parent) = ring.current();
        DataKey::unwrap(root, parent, tenant, version, &wrapped).map(|unwrapped| unwrapped.key)
    };
    assert_eq!(unwrap(&f, &acme, 7).unwrap(), key.key);
    assert_eq!(unwrap(&ring('e'), &acme, 7), Err(Unopenable));
    assert_eq!(unwrap(&f, &tenant("other"), 7), Err(Unopenable));
    assert_eq!(unwrap(&f, &acme, 8), Err(Unopenable));
}

#[test]
fn neither_a_record_passes_for_a_data_key_nor_a_data_key_for_a_record() {
    let (key, wrapped) = DataKey::generate(&ring('f'), &tenant("acme"), 1).unwrap();
    let record = key.seal(&[7; 32], Context { store: "data-key", name: &[], version: 1 }).unwrap();
    assert_eq!((DataKey::root_of(&record), DataKey::version_of(&record)), (None, Some(1)));
    assert_eq!(DataKey::version_of(&wrapped), None);
}

#[test]
fn a_data_key_is_random_and_never_printed() {
    let (one, other) = (data_key("acme"), data_key("acme"));
    assert_ne!(one.key, other.key);
    assert_eq!(format!("{one:?}"), "DataKey { version: 1, .. }");
}

proptest! {
    #[test]
    fn places_are_encoded_injectively(
        a in ("[a-z]{2,3}", "[a-z/]{0,3}", prop::collection::vec("[ab]{0,2}", 0..4), 0u64..3),
        b in ("[a-z]{2,3}", "[a-z/]{0,3}", prop::collection::vec("[ab]{0,2}", 0..4), 0u64..3),
    ) {
        let encoded = |(of, store, name, version): &(String, String, Vec<String>, u64)| {
            let name: Vec<&str> = name.iter().map(String::as_str).collect();
            // Stores are named in the code; a test makes up more of them than there are.
            let store: &'static str = Box::leak(store.clone().into_boxed_str());
            Context { store, name: &name, version: *version }.encoded(&tenant(of))
        };
        prop_assert_eq!(a == b, encoded(&a) == encoded(&b));
    }
}
