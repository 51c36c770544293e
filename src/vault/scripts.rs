//! The scripts of the vault.

use crate::db::{Effect, Script};

/// A repetition would find its own change and take it for another's.
pub(super) static CHANGE_DATA_KEYS: Script =
    Script::new("vault/change_data_keys", include_str!("change_data_keys.lua"), Effect::Once);

/// Every script of the vault, for the conformance suite and the documentation.
pub static SCRIPTS: &[&Script] = &[&CHANGE_DATA_KEYS];
