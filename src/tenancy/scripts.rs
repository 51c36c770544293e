//! The scripts of tenancy. Each that admins run, down to `END_TENANT`, changes one thing and marks the change, in one step: its last
//! argument is the change's token, which [`Registry::change`](super::Registry) adds.

use crate::db::{Effect, Script};

/// A repetition would find the id taken, by itself.
pub(super) static CREATE_TENANT: Script =
    Script::new("tenancy/create_tenant", include_str!("create_tenant.lua"), Effect::Once);

/// A repetition would find its own change and take it for another's.
pub(super) static UPDATE_TENANT: Script =
    Script::new("tenancy/update_tenant", include_str!("update_tenant.lua"), Effect::Once);

/// A first attempt that arrives after its repetition and a revocation would bring the key back.
pub(super) static CREATE_KEY: Script = Script::new("tenancy/create_key", include_str!("create_key.lua"), Effect::Once);

/// A repetition would find the key changed, by itself.
pub(super) static ROTATE_KEY: Script = Script::new("tenancy/rotate_key", include_str!("rotate_key.lua"), Effect::Once);

/// A repetition would find no such key, and its caller hear that there never was one.
pub(super) static REVOKE_KEY: Script = Script::new("tenancy/revoke_key", include_str!("revoke_key.lua"), Effect::Once);

pub(super) static STAMP_KEY: Script =
    Script::new("tenancy/stamp_key", include_str!("stamp_key.lua"), Effect::Idempotent);

/// A repetition would find the tenant gone, by itself.
pub(super) static END_TENANT: Script = Script::new("tenancy/end_tenant", include_str!("end_tenant.lua"), Effect::Once);

/// What is deleted twice was deleted once; a repetition only counts less.
pub(super) static DELETE_KEYS: Script =
    Script::new("tenancy/delete_keys", include_str!("delete_keys.lua"), Effect::Idempotent);

/// The same; and one that arrives late finds no mark.
pub(super) static PURGE: Script = Script::new("tenancy/purge", include_str!("purge.lua"), Effect::Idempotent);

/// Reads a key of a tenant that is exported.
pub(super) static READ: Script = Script::new("tenancy/read", include_str!("transfer/read.lua"), Effect::Read);

/// Writes one of a tenant that is imported; what is written twice is what was written once.
pub(super) static WRITE: Script = Script::new("tenancy/write", include_str!("transfer/write.lua"), Effect::Idempotent);

/// Every script of tenancy, for the conformance suite and the documentation.
pub static SCRIPTS: &[&Script] = &[
    &CREATE_TENANT,
    &UPDATE_TENANT,
    &CREATE_KEY,
    &ROTATE_KEY,
    &REVOKE_KEY,
    &STAMP_KEY,
    &END_TENANT,
    &DELETE_KEYS,
    &PURGE,
    &READ,
    &WRITE,
];
