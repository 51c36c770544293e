//! The `agentapi` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    agentapi::cli::run(std::env::args().skip(1).collect())
}
