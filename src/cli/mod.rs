//! The command line: `serve`, and what prints the project's own documents.

mod documents;
mod logging;
mod newcomer;
mod serve;

use crate::base::env::{Env, Mistakes};
use crate::config::Config;
use std::io::Write as _;
use std::process::ExitCode;

pub use documents::{keys_table, reference};

/// What could not be configured: exit code 2.
const MISCONFIGURED: u8 = 2;

const HELP: &str = "\
AgentAPI, the multi-tenant session and state server

Usage: agentapi [COMMAND] [--VARIABLE VALUE]...

Commands:
  serve       Serve (the default)
  env         Print every variable with its default, as .env.example
  openapi     Print the API description, OpenAPI 3.1
  reference   Print the API reference, Markdown
  keys        Print what is kept under which keys, Markdown
  version     Print the version
  help        Print this

Every variable is also a flag, which wins: --port 8080 for PORT=8080.
";

/// Runs a command: 0, 1 when it failed, 2 when it was called or configured wrongly.
pub fn run(arguments: Vec<String>) -> ExitCode {
    let (command, flags) = match split(arguments) {
        Ok(split) => split,
        Err(mistake) => return complain(&mistake, MISCONFIGURED),
    };
    // Clients of backends and the listener take the process's TLS provider. One that is there already stays.
    match rustls::crypto::aws_lc_rs::default_provider().install_default() {
        Ok(()) | Err(_) => {}
    }
    match command.as_deref().unwrap_or("serve") {
        "serve" => match configure(flags) {
            Ok(config) => serve::serve(config),
            Err(mistakes) => complain(&mistakes.to_string(), MISCONFIGURED),
        },
        "env" => print(&environment()),
        "openapi" => print(&format!("{:#}\n", documents::openapi())),
        "reference" => print(&reference()),
        "keys" => print(&keys_table()),
        "version" | "--version" | "-V" => print(concat!("agentapi ", env!("CARGO_PKG_VERSION"), "\n")),
        "help" | "--help" | "-h" => print(HELP),
        _ => complain("there is no such command; see agentapi help", MISCONFIGURED),
    }
}

/// The text of `.env.example`.
pub fn environment() -> String {
    let mut env = Env::new([]);
    Config::read(&mut env);
    env.document()
}

type Flags = Vec<(String, String)>;

/// The command, and the flags as variables: `--redis-url X` or `--redis-url=X` for `REDIS_URL`.
fn split(arguments: Vec<String>) -> Result<(Option<String>, Flags), String> {
    let (mut command, mut flags) = (None, Vec::new());
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let short = matches!(argument.as_str(), "--help" | "--version");
        match argument.strip_prefix("--").filter(|_| !short) {
            Some(flag) => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                let value = value.or_else(|| rest.next()).ok_or_else(|| format!("--{name} needs a value"))?;
                flags.push((name.to_ascii_uppercase().replace('-', "_"), value));
            }
            None if command.is_none() => command = Some(argument),
            None => return Err("there may be only one command; see agentapi help".to_owned()),
        }
    }
    Ok((command, flags))
}

fn configure(flags: Flags) -> Result<Config, Mistakes> {
    let mut known = Env::new([]);
    Config::read(&mut known);
    let names = known.names();
    let mut env = Env::of_process(flags.iter().cloned());
    for (name, _) in &flags {
        if !names.contains(name) {
            env.mistake(&format!("--{}", name.to_ascii_lowercase().replace('_', "-")), "is not a flag");
        }
    }
    let config = Config::read(&mut env);
    env.finish().map(|()| config)
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Says on standard error what is wrong.
fn complain(what: &str, code: u8) -> ExitCode {
    // When standard error is closed there is nobody left to tell; the exit code still says it.
    match writeln!(std::io::stderr().lock(), "agentapi: {what}") {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_are_variables() {
        let (command, flags) = split(words("serve --redis-url=redis://x --port 8080")).unwrap();
        assert_eq!(command.as_deref(), Some("serve"));
        assert_eq!(flags, [("REDIS_URL".into(), "redis://x".into()), ("PORT".into(), "8080".into())]);
        assert!(split(words("serve --port")).is_err());
        assert!(split(words("serve twice")).is_err());
        assert_eq!(split(words("--help")).unwrap().0.as_deref(), Some("--help"));
    }

    #[test]
    fn a_flag_that_is_no_variable_is_a_mistake() {
        let mistakes = configure(vec![("NO_SUCH_THING".into(), "secret-value".into())]).err().unwrap();
        assert!(mistakes.to_string().contains("--no-such-thing: is not a flag"));
        assert!(!mistakes.to_string().contains("secret-value"));
    }
}
