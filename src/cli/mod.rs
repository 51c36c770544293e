//! The command line: `serve`, what asks a running server, and what prints the project's own documents.

mod admin_api;
mod documents;
mod healthcheck;
mod logging;
mod newcomer;
mod serve;
mod vault;

use crate::base::env::{Env, Mistakes};
use crate::config::Config;
use std::io::Write as _;
use std::process::ExitCode;

pub use documents::{keys_table, reference};

/// What could not be configured: exit code 2.
const MISCONFIGURED: u8 = 2;

/// Flags that need no value.
const SWITCHES: [&str; 1] = ["json"];

const HELP: &str = "\
AgentAPI, the multi-tenant session and state server

Usage: agentapi [COMMAND] [--VARIABLE VALUE]...

Commands:
  serve           Serve (the default)
  healthcheck     Ask the server at HOST and PORT for /status: 0 when requests can be served, else 1
  vault status    Print which keys there are and how many records need each
  vault rotate    Give tenants new data keys
  vault rewrap    Encrypt everything under the newest keys, and destroy the others
  env             Print every variable with its default, as .env.example
  configuration   Print the same for people, Markdown
  openapi         Print the API description, OpenAPI 3.1
  reference       Print the API reference, Markdown
  keys            Print what is kept under which keys, Markdown
  version         Print the version
  help            Print this

Every variable is also a flag, which wins: --port 8080 for PORT=8080. The vault commands ask a running server: they take
--url (AGENTAPI_URL, http://127.0.0.1:3284 when not given), ADMIN_API_KEY, --tenant to do it for one, and --json.
";

/// Runs a command: 0, 1 when it failed, 2 when it was called or configured wrongly.
pub fn run(arguments: Vec<String>) -> ExitCode {
    let (words, flags) = match split(arguments) {
        Ok(split) => split,
        Err(mistake) => return complain(&mistake, MISCONFIGURED),
    };
    // Clients of backends and the listener take the process's TLS provider. One that is there already stays.
    match rustls::crypto::aws_lc_rs::default_provider().install_default() {
        Ok(()) | Err(_) => {}
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["serve"] => match configure(flags) {
            Ok(config) => serve::serve(config),
            Err(mistakes) => complain(&mistakes.to_string(), MISCONFIGURED),
        },
        ["healthcheck"] => healthcheck::run(flags),
        ["vault", what] => vault::run(what, flags),
        ["env"] => print(&environment()),
        ["configuration"] => print(&configuration()),
        ["openapi"] => print(&format!("{:#}\n", documents::openapi())),
        ["reference"] => print(&reference()),
        ["keys"] => print(&keys_table()),
        ["version" | "--version" | "-V"] => print(concat!("agentapi ", env!("CARGO_PKG_VERSION"), "\n")),
        ["help" | "--help" | "-h"] => print(HELP),
        [_, _, ..] => complain("there may be only one command; see agentapi help", MISCONFIGURED),
        _ => complain("there is no such command; see agentapi help", MISCONFIGURED),
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

type Flags = Vec<(String, String)>;

/// The words of the command, and the flags as variables: `--redis-url X` or `--redis-url=X` for `REDIS_URL`.
fn split(arguments: Vec<String>) -> Result<(Vec<String>, Flags), String> {
    let (mut words, mut flags) = (Vec::new(), Vec::new());
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let short = matches!(argument.as_str(), "--help" | "--version");
        match argument.strip_prefix("--").filter(|_| !short) {
            Some(flag) => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                let switch = || SWITCHES.contains(&name).then(|| "true".to_owned());
                let value =
                    value.or_else(switch).or_else(|| rest.next()).ok_or_else(|| format!("--{name} needs a value"))?;
                flags.push((name.to_ascii_uppercase().replace('-', "_"), value));
            }
            None => words.push(argument),
        }
    }
    Ok((words, flags))
}

fn configure(flags: Flags) -> Result<Config, Mistakes> {
    read(flags, Config::read)
}

/// Reads what a command is told, from the environment and from flags, of which it must know each.
fn read<T>(flags: Flags, settings: impl Fn(&mut Env) -> T) -> Result<T, Mistakes> {
    let mut known = Env::new([]);
    settings(&mut known);
    let names = known.names();
    let mut env = Env::of_process(flags.iter().cloned());
    for (name, _) in &flags {
        if !names.contains(name) {
            env.mistake(&format!("--{}", name.to_ascii_lowercase().replace('_', "-")), "is not a flag");
        }
    }
    let settings = settings(&mut env);
    env.finish().map(|()| settings)
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
        assert_eq!(command, ["serve"]);
        assert_eq!(flags, [("REDIS_URL".into(), "redis://x".into()), ("PORT".into(), "8080".into())]);
        assert!(split(words("serve --port")).is_err());
        let (command, flags) = split(words("vault --json rewrap --tenant acme")).unwrap();
        assert_eq!(command, ["vault", "rewrap"]);
        assert_eq!(flags, [("JSON".into(), "true".into()), ("TENANT".into(), "acme".into())]);
        assert_eq!(split(words("--help")).unwrap().0, ["--help"]);
    }

    #[test]
    fn a_flag_that_is_no_variable_is_a_mistake() {
        let mistakes = configure(vec![("NO_SUCH_THING".into(), "secret-value".into())]).err().unwrap();
        assert!(mistakes.to_string().contains("--no-such-thing: is not a flag"));
        assert!(!mistakes.to_string().contains("secret-value"));
    }
}
