//! `agentapi keygen`: fresh secrets for a `.env` file or a secret store.

use super::newcomer::admin_key;
use super::output::{complain, print};
use crate::base::id;
use serde_json::json;
use std::process::ExitCode;

/// Prints a root key and an admin key that nobody has had before; 1 when there is no randomness.
pub(super) fn run(json: bool) -> ExitCode {
    let Some((root, admin)) = id::random_bytes::<32>().ok().zip(admin_key()) else {
        return complain("the operating system gives no randomness", 1);
    };
    let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    let admin = admin.expose();
    if json {
        return print(&format!("{}\n", json!({"TOKEN_ENCRYPTION_KEY": root, "ADMIN_API_KEY": admin})));
    }
    print(&format!("TOKEN_ENCRYPTION_KEY={root}\nADMIN_API_KEY={admin}\n"))
}
