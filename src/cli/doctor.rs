//! `agentapi doctor`: what is configured, what answers, and what to mend, in which order. Needs no running server.
//!
//! Each way to the backend is tried by itself, past failover: a second way that works hides a first that does not.

mod findings;
mod report;
mod ways;

use super::MISCONFIGURED;
use super::commands::json;
use super::flags;
use super::output::{complain, print};
use crate::base::env::Env;
use crate::config::{BackendSettings, Config};
use clap::ArgMatches;
use report::Report;
use std::process::ExitCode;

/// Looks at everything: 0 when it is healthy, 1 when something must be mended, 2 when the configuration has mistakes.
pub(super) fn run(given: &ArgMatches) -> ExitCode {
    let settings = |env: &mut Env| (Config::read(env), json(env).unwrap_or_default());
    let mut env = flags::environment(given, settings);
    let (config, json) = settings(&mut env);
    let configured = env.set();
    let print = |report: &Report, code: u8| {
        let text = if json { format!("{:#}\n", report.json()) } else { report.text() };
        if print(&text) == ExitCode::SUCCESS { ExitCode::from(code) } else { ExitCode::FAILURE }
    };
    if let Err(mistakes) = env.finish() {
        return print(&Report::of_mistakes(configured, mistakes.0), MISCONFIGURED);
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return complain("no runtime can be made", 1);
    };
    let report = runtime.block_on(async {
        // First what keeps everything else from working.
        let mut findings = Vec::new();
        let ways = ways::look(&config, &mut findings).await;
        findings.extend(findings::of_configuration(&config));
        Report::new(configured, ways, findings)
    });
    print(&report, u8::from(!report.is_healthy()))
}

/// Whether nothing survives the process.
fn is_embedded(config: &Config) -> bool {
    matches!(config.backend, BackendSettings::Memory)
}
