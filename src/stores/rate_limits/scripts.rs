//! The scripts: what is judged and what is counted never come apart.

use crate::db::{Effect, Script};

macro_rules! text {
    ($($file:literal),+) => {
        concat!($(include_str!($file)),+)
    };
}

/// Counts checks. Nobody asks for a lost answer again: the caller has an approximation, and nothing is counted twice.
pub static CHECK: Script =
    Script::at_most_once("rate_limits/check", text!("quick.lua", "algorithms.lua", "prelude.lua", "check.lua"));
/// Answers like a check, and counts nothing.
pub static PEEK: Script =
    Script::new("rate_limits/peek", text!("algorithms.lua", "prelude.lua", "peek.lua"), Effect::Read);
/// Holds what checks ask for. A repetition finds what it held.
pub static HOLD: Script =
    Script::new("rate_limits/hold", text!("algorithms.lua", "prelude.lua", "hold.lua"), Effect::Idempotent);
/// Counts what is held, or lets it go. A repetition finds nothing held.
pub static FINISH: Script =
    Script::new("rate_limits/finish", text!("algorithms.lua", "prelude.lua", "finish.lua"), Effect::Idempotent);
/// Settles a reservation, which remembers how.
pub static SETTLE: Script =
    Script::new("rate_limits/settle", text!("algorithms.lua", "prelude.lua", "settle.lua"), Effect::Idempotent);
/// Forgets a subject. A repetition would find nothing, and its caller hear that there never was anything.
pub static RESET: Script = Script::new("rate_limits/reset", text!("reset.lua"), Effect::Once);
/// Keeps a policy. A repetition would find it there by itself, and one that comes late would undo a deletion.
pub static PUT_POLICY: Script = Script::new("rate_limits/put_policy", text!("policies/put.lua"), Effect::Once);
/// Deletes a policy. A repetition would find none, and its caller hear that there never was one.
pub static DELETE_POLICY: Script = Script::new("rate_limits/delete_policy", text!("policies/delete.lua"), Effect::Once);
/// Reads a page of the policies.
pub static LIST_POLICIES: Script = Script::new("rate_limits/list_policies", text!("policies/list.lua"), Effect::Read);

/// All of them, for the suite that runs every script on every backend.
pub static SCRIPTS: &[&Script] =
    &[&CHECK, &PEEK, &HOLD, &FINISH, &SETTLE, &RESET, &PUT_POLICY, &DELETE_POLICY, &LIST_POLICIES];
