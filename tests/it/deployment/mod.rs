//! The files with which it is deployed, read as those read them who deploy: each names real variables, real endpoints,
//! the image's own user, and no secret.

mod compose;
mod image;
mod kubernetes;

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the repository.
fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[track_caller]
fn text(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A file of one YAML document.
#[track_caller]
fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A variable of the server, as `.env.example` has it.
struct Variable {
    name: String,
    default: String,
    is_secret: bool,
}

fn variables() -> Vec<Variable> {
    let document = agentapi::cli::environment();
    let lines: Vec<&str> = document.lines().collect();
    let described = lines.windows(2).filter_map(|pair| {
        let (name, default) = pair[1].strip_prefix('#').filter(|rest| !rest.starts_with(' '))?.split_once('=')?;
        let is_secret = pair[0].ends_with(" Secret.");
        Some(Variable { name: name.to_owned(), default: default.to_owned(), is_secret })
    });
    let found: Vec<Variable> = described.collect();
    assert!(found.len() > 50 && found.iter().filter(|variable| variable.is_secret).count() > 5, "{document}");
    found
}

/// Whether the server reads this name: a variable, or the file of a secret.
fn is_read(name: &str, variables: &[Variable]) -> bool {
    let secret = |file: &str| variables.iter().any(|variable| variable.is_secret && variable.name == file);
    variables.iter().any(|variable| variable.name == name) || name.strip_suffix("_FILE").is_some_and(secret)
}

/// What the server says of an environment: its configuration, or all mistakes.
fn configure<N: Into<String>>(
    variables: impl IntoIterator<Item = (N, String)>,
) -> Result<agentapi::config::Config, String> {
    // For rediss://, as the process does at its start.
    crate::harness::app::install_crypto();
    let mut env = agentapi::base::env::Env::new(variables.into_iter().map(|(name, value)| (name.into(), value)));
    let config = agentapi::config::Config::read(&mut env);
    env.finish().map(|()| config).map_err(|mistakes| mistakes.to_string())
}
