//! The `agentapi` command.

use std::process::ExitCode;

/// A request makes ten to forty short-lived allocations; this allocator serves them in no more time than the
/// system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    agentapi::cli::run(std::env::args_os().skip(1))
}
