//! Operations: what makes a script that must act once repeatable.
//!
//! A call whose answer was lost may have run, or may still run. So a script of [`Effect::Once`](super::Effect)
//! goes with one more key, of a random name that its command keeps however often and over whatever door it is
//! sent. The first run leaves its answer under that key in the same step as its changes; every other run
//! finds it there, does nothing and answers the same, even when what the first one made is gone again. A
//! minute is many times as long as anybody repeats a call.

use super::key::Family;
use crate::base::id;
use bytes::Bytes;

/// What the operations have left.
const ANSWER: Family = Family {
    name: "op",
    parts: "operation",
    kind: "string",
    routed_by: "what the script's other keys are routed by",
    lives: "60 s",
    holds: "what a script answered that must act once: kind, length and text of each value; the operation is random",
    stays: Some("it lives for a minute"),
};

/// The families of keys that scripts use whoever runs them.
pub const FAMILIES: &[&Family] = &[&ANSWER];

/// The key of a new operation in the partition of this one; nothing when there is no randomness to be had.
pub(super) fn key_beside(key: &[u8]) -> Option<Bytes> {
    let tag_end = key.iter().position(|byte| *byte == b'}')?;
    let mut operation = key.get(..=tag_end)?.to_vec();
    operation.push(b':');
    operation.extend_from_slice(ANSWER.name.as_bytes());
    operation.push(b':');
    operation.extend_from_slice(super::script::hex(&id::random_bytes::<16>().ok()?).as_bytes());
    Some(operation.into())
}

/// The script around a body. The body's lines keep their numbers, for the errors that name them.
pub(super) fn acting_once(body: &str) -> String {
    format!("local function run(KEYS) {body}\nend\n{}", include_str!("operation.lua"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_lies_beside_the_other_keys_and_is_new_each_time() {
        let make = || String::from_utf8(key_beside(b"agentapi:{acme:0a}:session:x%7D").unwrap().to_vec()).unwrap();
        let (one, other) = (make(), make());
        let id = one.strip_prefix("agentapi:{acme:0a}:op:").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_ne!(one, other);
    }
}
