//! Scripts of a test's own that must act once, and the operations that their commands are.

use super::backend::Backend;
use agentapi::base::clock::SystemClock;
use agentapi::base::text::TenantId;
use agentapi::db::{BackendClock, Command, Database, Effect, Family, Key, Partition, Script};
use std::sync::Arc;

/// A script of this text that must act once.
pub fn acting_once(text: &str) -> &'static Script {
    // As scripts do, it lives until the process ends.
    Box::leak(Box::new(Script::new("test/once", Box::leak(text.to_owned().into_boxed_str()), Effect::Once)))
}

/// The key that [`Backend::key`] writes, for commands that take only keys.
pub fn key(backend: &Backend, name: &'static str) -> Key {
    let written = backend.key(name);
    let (prefix, rest) = written.split_once(":{").expect("a tag");
    let (tenant, _) = rest.split_once(':').expect("a partition");
    let family = Box::leak(Box::new(Family {
        name,
        parts: "",
        kind: "string",
        routed_by: "",
        lives: "",
        holds: "",
        stays: None,
    }));
    let clock = BackendClock::new(Arc::new(SystemClock));
    let database = Database::new(Arc::clone(&backend.transport), prefix, clock);
    let key = database.tenant(&TenantId::parse(tenant).expect("a tenant")).key(Partition::FIRST, family, &[]);
    let said = Command::get(&key);
    assert_eq!(said.args()[1], written.as_bytes());
    key
}

/// The key of the operation that a command is.
pub fn operation_of(command: &Command) -> String {
    let written = |at: usize| String::from_utf8(command.args()[at].to_vec()).expect("text");
    let keys: usize = written(2).parse().expect("how many keys");
    let operation = written(2 + keys);
    assert!(operation.contains("}:op:"), "{operation}");
    operation
}
