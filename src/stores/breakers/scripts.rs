//! The scripts: every change of a breaker is one of them, so that no state is changed twice.

use crate::db::{Effect, Script};

macro_rules! text {
    ($file:literal) => {
        concat!(include_str!("prelude.lua"), include_str!($file))
    };
}

/// Asks before a call. What nearly every question needs stands before all else.
pub static ACQUIRE: Script = Script::new(
    "breakers/acquire",
    concat!(include_str!("acquire_closed.lua"), include_str!("prelude.lua"), include_str!("acquire.lua")),
    Effect::Idempotent,
);
/// Tells how calls went. Every call of a client is followed by one, so an operation's two further commands would be
/// felt; and what is told is one of many: a report whose answer was lost is better missed than counted twice.
pub static REPORT: Script = Script::at_most_once(
    "breakers/report",
    concat!(include_str!("report_closed.lua"), include_str!("prelude.lua"), include_str!("report.lua")),
);
/// Sets a state by hand. A repetition would not know that it was the one that changed it.
pub static FORCE: Script = Script::new("breakers/force", text!("force.lua"), Effect::Once);
/// Gives a breaker its settings.
pub static CONFIGURE: Script = Script::new("breakers/configure", text!("configure.lua"), Effect::Idempotent);
/// Forgets a breaker. A repetition would not know that it was the one that closed it.
pub static FORGET: Script = Script::new("breakers/forget", text!("forget.lua"), Effect::Once);
/// Reads breakers by name.
pub static LIST: Script = Script::new("breakers/list", text!("list.lua"), Effect::Read);

/// All of them, for the suite that runs every script on every backend.
pub static SCRIPTS: &[&Script] = &[&ACQUIRE, &REPORT, &FORCE, &CONFIGURE, &FORGET, &LIST];
