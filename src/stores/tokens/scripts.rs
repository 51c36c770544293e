//! The scripts: everything that depends on what is there is one of them.

use crate::db::{Effect, Script};

/// Writes a record. A first attempt that arrives after its repetition and a deletion would bring it back.
pub(super) static PUT: Script = Script::new("tokens/put", include_str!("put.lua"), Effect::Once);
/// Removes a record. A repetition would find none, and its caller hear that there never was one.
pub(super) static REMOVE: Script = Script::new("tokens/remove", include_str!("remove.lua"), Effect::Once);
/// Gives a lease. A repetition would find the lease held, by itself.
pub(super) static LEASE: Script = Script::new("tokens/lease", include_str!("lease.lua"), Effect::Once);
/// Gives a lease back. A repetition finds it gone.
pub(super) static SETTLE: Script = Script::new("tokens/settle", include_str!("settle.lua"), Effect::Idempotent);
/// Notes a partition.
pub(super) static NOTE: Script = Script::new("tokens/note", include_str!("note.lua"), Effect::Idempotent);
/// Raises a floor.
pub(super) static FLOOR: Script = Script::new("tokens/floor", include_str!("floor.lua"), Effect::Idempotent);
/// Exchanges envelopes. A repetition finds that what it read is not there any more.
pub(super) static REWRAP: Script = Script::new("tokens/rewrap", include_str!("rewrap.lua"), Effect::Idempotent);

/// All of them, for the suite that runs every script on every backend.
pub static SCRIPTS: &[&Script] = &[&PUT, &REMOVE, &LEASE, &SETTLE, &NOTE, &FLOOR, &REWRAP];
