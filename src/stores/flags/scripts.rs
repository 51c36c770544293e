//! The scripts: everything that depends on what is there is one of them.

use crate::db::{Effect, Script};

/// Writes the set. A repetition would find a version that its own first run wrote, and take it for somebody else's.
pub(super) static WRITE: Script = Script::new("flags/write", include_str!("write.lua"), Effect::Once);
/// Reads what is remembered of changes.
pub(super) static HISTORY: Script = Script::new("flags/history", include_str!("history.lua"), Effect::Read);
/// Notes a change. To be told of one twice costs a look.
pub(super) static ANNOUNCE: Script = Script::new("flags/announce", include_str!("announce.lua"), Effect::Idempotent);
/// Adds to counts. A repetition would add again, so what was not heard to be added is given up. As an operation it would leave a
/// key for a minute, of a tenant too that has just been deleted.
pub(super) static COUNT: Script = Script::at_most_once("flags/count", include_str!("count.lua"));

/// All of them, for the suite that runs every script on every backend.
pub static SCRIPTS: &[&Script] = &[&WRITE, &HISTORY, &ANNOUNCE, &COUNT];
