//! The scripts of jobs. Whoever changes a job must hold its lease, which the script looks at in the same step.

use crate::db::{Effect, Script};

/// A first attempt that arrives when the job is finished would start another one.
pub(super) static START: Script = Script::new("jobs/start", include_str!("start.lua"), Effect::Once);

/// Taking twice is taking once, a little later.
pub(super) static TAKE: Script = Script::new("jobs/take", include_str!("take.lua"), Effect::Idempotent);

/// A first attempt that arrives after the next step was saved would set the job back.
pub(super) static SAVE: Script = Script::new("jobs/save", include_str!("save.lua"), Effect::Once);

/// A repetition would find the job finished, by itself.
pub(super) static FINISH: Script = Script::new("jobs/finish", include_str!("finish.lua"), Effect::Once);

pub(super) static FORGET: Script = Script::new("jobs/forget", include_str!("forget.lua"), Effect::Idempotent);

/// Every script of jobs, for the conformance suite and the documentation.
pub static SCRIPTS: &[&Script] = &[&START, &TAKE, &SAVE, &FINISH, &FORGET];
