//! The command line: `serve`, what asks a running server, what makes secrets, and what prints the project's own documents.

mod admin_api;
mod api_keys;
mod commands;
mod doctor;
mod documents;
mod flags;
mod healthcheck;
mod job;
mod keygen;
mod logging;
mod moving;
mod newcomer;
mod output;
mod serve;
mod tenants;
mod vault;

use crate::base::env::Env;
use crate::config::Config;
use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use output::{complain, print};
use serde_json::json;
use std::ffi::OsString;
use std::process::ExitCode;

pub use documents::{command_line, keys_table, reference};

/// What could not be configured: exit code 2.
const MISCONFIGURED: u8 = 2;

/// Runs a command: 0, 1 when it failed, 2 when it was called or configured wrongly.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Clients of backends and the listener take the process's TLS provider. One that is there already stays.
    match rustls::crypto::aws_lc_rs::default_provider().install_default() {
        Ok(()) | Err(_) => {}
    }
    match commands::tree().try_get_matches_from(words(arguments)) {
        Ok(given) => match given.subcommand() {
            Some((name, given)) => dispatch(name, given),
            None => complain("there is no such command; see agentapi help", MISCONFIGURED),
        },
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print(&error.to_string())
        }
        Err(error) => complain(&said(&error), MISCONFIGURED),
    }
}

/// The arguments of the process, with the name of the default command where none is named.
fn words(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = arguments.into_iter().collect();
    let first = words.first().and_then(|first| first.to_str());
    let of_root = ["-h", "--help", "-V", "--version"];
    if words.is_empty() || first.is_some_and(|first| first.starts_with('-') && !of_root.contains(&first)) {
        words.insert(0, "serve".into());
    }
    words.insert(0, "agentapi".into());
    words
}

/// What is wrong with a call. A word too many is not repeated: it may be part of a secret that was not quoted.
fn said(error: &clap::Error) -> String {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        _ => "",
    };
    if error.kind() == ErrorKind::UnknownArgument && !word.starts_with("--") {
        return "there is a word too many; see agentapi help".to_owned();
    }
    let text = error.to_string();
    text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
}

fn dispatch(name: &str, given: &ArgMatches) -> ExitCode {
    let sub = given.subcommand().unwrap_or(("", given));
    match name {
        "serve" => match flags::read(given, Config::read) {
            Ok(config) => serve::serve(config),
            Err(mistakes) => complain(&mistakes.to_string(), MISCONFIGURED),
        },
        "doctor" => doctor::run(given),
        "healthcheck" => healthcheck::run(given),
        "tenant" => tenants::run(sub.0, sub.1),
        "key" => api_keys::run(sub.0, sub.1),
        "export" | "import" => moving::run(name, given),
        "vault" => vault::run(sub.0, sub.1),
        "openapi" => print(&format!("{:#}\n", documents::openapi())),
        "reference" => print(&reference()),
        "configuration" => print(&configuration()),
        "completions" => print(&documents::completions(given.get_one::<String>("shell").map_or("", String::as_str))),
        _ => match flags::read(given, commands::json) {
            Ok(json) => printed(name, json.unwrap_or_default()),
            Err(mistakes) => complain(&mistakes.to_string(), MISCONFIGURED),
        },
    }
}

/// Commands that need nothing but themselves.
fn printed(name: &str, json: bool) -> ExitCode {
    match (name, json) {
        ("keygen", _) => keygen::run(json),
        ("env", false) => print(&environment()),
        ("env", true) => print(&format!("{:#}\n", documents::variables())),
        ("keys", false) => print(&keys_table()),
        ("keys", true) => print(&format!("{:#}\n", documents::keys())),
        (_, false) => print(concat!("agentapi ", env!("CARGO_PKG_VERSION"), "\n")),
        (_, true) => print(&format!("{}\n", json!({"version": env!("CARGO_PKG_VERSION")}))),
    }
}

/// The text of `.env.example`.
pub fn environment() -> String {
    defined().document()
}

/// `docs/configuration.md`.
pub fn configuration() -> String {
    defined().table()
}

/// An empty environment in which every variable has been asked for.
fn defined() -> Env {
    let mut env = Env::new([]);
    Config::read(&mut env);
    env
}
