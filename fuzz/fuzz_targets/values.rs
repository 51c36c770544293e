//! Texts that become types where they enter.
#![no_main]

use agentapi::base::duration::{self, DurationField};
use agentapi::base::text::{Name, TenantId};
use agentapi::stores::sessions::{Cursor, JsonObject, ObjectPatch, SessionId, SessionRef};
use agentapi::tenancy::{KeyId, PresentedKey, Scopes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(object) = JsonObject::parse(data) {
        let again = JsonObject::parse(object.as_str().as_bytes()).expect("what was read is read again");
        assert_eq!(again.as_str(), object.as_str());
    }
    drop(serde_json::from_slice::<ObjectPatch>(data));
    drop(serde_json::from_slice::<DurationField>(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = Name::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!((1..=256).contains(&text.len()) && !text.chars().any(char::is_control));
        let id = SessionId::parse(&name);
        assert_eq!(id.name().as_str(), text);
        drop(SessionRef::to_revoke(&name));
    }
    if let Ok(tenant) = TenantId::parse(text) {
        assert_eq!(tenant.as_str(), text);
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
    if let Some(cursor) = Cursor::parse(text) {
        assert_eq!(cursor.as_str(), text);
    }
    if let Some(key) = PresentedKey::parse(text) {
        assert_eq!(KeyId::parse(key.id().as_str()), Some(key.id()));
    }
    if let Ok(scopes) = Scopes::parse(text.split(',')) {
        assert_eq!(Scopes::parse(scopes.to_list()).ok(), Some(scopes));
    }
    if duration::parse(text).is_ok() {
        assert!(text.bytes().any(|b| b.is_ascii_digit()));
    }
});
