//! The scripts: every change of a session is one of them, so that two changes never mix.

use crate::db::{Effect, Script};

macro_rules! script {
    ($name:literal, $file:literal, $effect:ident) => {
        Script::new(
            concat!("sessions/", $name),
            concat!(include_str!("prelude.lua"), include_str!($file)),
            Effect::$effect,
        )
    };
}

/// Creates a session.
pub static CREATE: Script = script!("create", "create.lua", Once);
/// Replaces or patches a session that is at a known version.
pub static UPDATE: Script = script!("update", "update.lua", Once);
/// Slides or sets a session's expiry.
pub static TOUCH: Script = script!("touch", "touch.lua", Idempotent);
/// Gives a session a new id.
pub static ROTATE: Script = script!("rotate", "rotate.lua", Idempotent);
/// Takes a refresh token and, if it is the current one, rotates it and the session's id.
pub static REFRESH: Script = script!("refresh", "refresh.lua", Idempotent);
/// Ends sessions. A repetition would find none, and its caller hear that there never was one.
pub static REVOKE: Script = script!("revoke", "revoke.lua", Once);
/// Notes that a user has sessions in a partition that is not the user's home.
pub static REMEMBER: Script = script!("remember", "remember.lua", Idempotent);
/// Clears ended sessions from a partition's indexes.
pub static SWEEP: Script = script!("sweep", "sweep.lua", Idempotent);
/// Writes a session that another store held, unless it has been here.
pub static RESTORE: Script = script!("restore", "restore.lua", Idempotent);
/// Notes that all sessions of a user are being ended.
pub static MARK: Script = script!("mark", "mark.lua", Idempotent);

/// All of them, for the suite that runs every script on every backend.
pub static SCRIPTS: &[&Script] =
    &[&CREATE, &UPDATE, &TOUCH, &ROTATE, &REFRESH, &REVOKE, &REMEMBER, &SWEEP, &RESTORE, &MARK];
