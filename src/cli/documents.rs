//! The project's documents that are made from its code.

use super::commands::{SHELLS, tree};
use crate::app;
use crate::base::env::{Described, Env};
use crate::config::Config;
use crate::db::Family;
use crate::http;
use crate::http::openapi;
use clap::Command;
use clap_complete::Shell;
use serde_json::{Value, json};

/// The API description.
pub(super) fn openapi() -> serde_json::Value {
    openapi::document(&app::described())
}

/// `docs/api.md`.
pub fn reference() -> String {
    http::markdown(&app::described())
}

/// `docs/keys.md`.
pub fn keys_table() -> String {
    let mut text = String::from(
        "# Keys\n\nMade by `agentapi keys`. A key is `agentapi:{owner:pp}:family:parts`: `agentapi` is `REDIS_KEY_PREFIX`, the owner a\n\
         tenant or `_system`, `pp` one of 256 partitions in two hexadecimal digits, chosen by what the family is routed\n\
         by. What stands in braces decides the Redis Cluster slot. In parts, bytes other than `A-Z a-z 0-9 . _ ~ -` are\n\
         written as `%XX`. No session id, refresh token or API key is stored: where one is named, its SHA-256 is.\n",
    );
    for (title, families) in app::families() {
        text.push_str(&format!(
            "\n## {title}\n\n| key | type | routed by | lives | moves along | holds |\n|---|---|---|---|---|---|\n"
        ));
        for family in families {
            let parts = family.parts.split(':').filter(|part| !part.is_empty()).map(|part| format!(":{{{part}}}"));
            let name: String = std::iter::once(family.name.to_owned()).chain(parts).collect();
            let Family { kind, routed_by, lives, holds, .. } = family;
            let moves = family.stays.map_or("yes".to_owned(), |why| format!("no: {why}"));
            text.push_str(&format!("| `{name}` | {kind} | {routed_by} | {lives} | {moves} | {holds} |\n"));
        }
    }
    text
}

/// The same for machines.
pub(super) fn keys() -> Value {
    let one = |owner: &str, family: &Family| {
        let Family { name, parts, kind, routed_by, lives, holds, stays } = family;
        json!({"family": name, "parts": parts, "type": kind, "routed_by": routed_by, "lives": lives, "holds": holds, "stays": stays, "kept_for": owner})
    };
    let all =
        app::families().into_iter().flat_map(|(owner, families)| families.iter().map(move |family| one(owner, family)));
    json!({"items": all.collect::<Vec<_>>()})
}

/// Every variable, for machines.
pub(super) fn variables() -> Value {
    let mut env = Env::new([]);
    Config::read(&mut env);
    let one = |variable: Described| {
        let Described { section, name, alias, default, meaning, secret } = variable;
        json!({"name": name, "alias": alias, "default": default, "meaning": meaning, "secret": secret, "section": section})
    };
    json!({"items": env.described().into_iter().map(one).collect::<Vec<_>>()})
}

/// What completes the command line in a shell.
pub(super) fn completions(shell: &str) -> String {
    debug_assert!(SHELLS.contains(&shell), "the command line takes no other");
    let mut script = Vec::new();
    if let Ok(shell) = shell.parse::<Shell>() {
        clap_complete::generate(shell, &mut tree(), "agentapi", &mut script);
    }
    String::from_utf8(script).unwrap_or_default()
}

/// `docs/command-line.md`: the help of every command.
pub fn command_line() -> String {
    let mut tree = tree();
    tree.build();
    let mut text = String::from(
        "# The command line\n\nMade from the help texts; `agentapi help COMMAND` prints the same, and `--help` all variables of `serve` and\n\
         `doctor` too, which stand in `.env.example` (`agentapi env`).\n",
    );
    describe(&mut tree, "##", &mut text);
    text
}

fn describe(command: &mut Command, level: &str, text: &mut String) {
    let name = command.get_bin_name().unwrap_or("agentapi").to_owned();
    let help = command.render_help().to_string();
    text.push_str(&format!("\n{level} {name}\n\n```text\n{}\n```\n", help.trim_end()));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        describe(sub, "###", text);
    }
}
