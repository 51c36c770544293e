//! The tree of commands: what there is, what each takes, and the texts that explain it.

use super::admin_api::Asking;
use super::flags;
use super::healthcheck::Settings as Nearby;
use super::vault::one_tenant;
use crate::base::env::{Env, Variable};
use crate::config::Config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

/// The shells whose completions can be printed.
pub(super) const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

const ROOT_HELP: &str = "\
Every variable is also a flag, which wins: `--port 8080` for PORT=8080. `agentapi env` prints them all.
Commands that ask a running server find it by --url (AGENTAPI_URL) and open it with ADMIN_API_KEY.

Exit codes: 0 done, 1 failed, 2 called or configured wrongly.

Try it: agentapi, and in another terminal the request that it prints.";

/// A command with its example.
fn command(name: &'static str, about: &'static str, example: &'static str) -> Command {
    let after = if example.is_empty() { String::new() } else { format!("Example:\n{example}") };
    Command::new(name).about(about).after_help(after)
}

pub(super) fn json(env: &mut Env) -> Option<bool> {
    env.flag(Variable::new("AGENTAPI_JSON", "Whether to print JSON, for machines."))
}

/// One that prints something, for people or for machines.
fn printing(name: &'static str, about: &'static str, example: &'static str) -> Command {
    command(name, about, example).args(flags::of(json))
}

/// One that asks a running server.
fn asking(name: &'static str, about: &'static str, example: &'static str) -> Command {
    command(name, about, example).args(flags::of(Asking::read))
}

fn group(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).subcommand_required(true).arg_required_else_help(false)
}

fn word(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).required(true).help(help)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).num_args(1).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn tenant() -> Command {
    let id = || word("id", "TENANT", "The tenant's id: a-z, 0-9 and '-'");
    group("tenant", "Make, list, suspend and delete tenants")
        .subcommand(
            asking("create", "Make a tenant", "  agentapi tenant create acme --name 'Acme Ltd' --create-key")
                .arg(id())
                .arg(option("name", "TEXT", "What people call it"))
                .arg(switch("create-key", "Issue a first API key, which may do everything; it is shown this once")),
        )
        .subcommand(asking("list", "List all tenants", "  agentapi tenant list --json | jq -r '.items[].id'"))
        .subcommand(
            asking(
                "suspend",
                "Refuse a tenant's keys, everywhere within a second; its data stays",
                "  agentapi tenant suspend acme",
            )
            .arg(id()),
        )
        .subcommand(
            asking("resume", "Let a suspended tenant's keys work again", "  agentapi tenant resume acme").arg(id()),
        )
        .subcommand(
            asking(
                "purge",
                "Delete a tenant and all that it has, and follow the job to its end. Cannot be undone",
                "  agentapi tenant purge acme --yes",
            )
            .arg(id())
            .arg(switch("yes", "Delete it: without this nothing is done")),
        )
}

fn key() -> Command {
    let tenant = || word("tenant", "TENANT", "Whose key it is");
    let id = || word("id", "KEY_ID", "The public id of the key, as `key list` shows it");
    group("key", "Issue, list, revoke and rotate API keys")
        .subcommand(
            asking(
                "create",
                "Issue an API key; it is shown this once",
                "  agentapi key create acme --name worker --scopes sessions:read,sessions:write",
            )
            .arg(tenant())
            .arg(option("name", "TEXT", "What people call it"))
            .arg(option(
                "scopes",
                "LIST",
                "What it may do, comma separated, such as flags:read; everything if not given",
            ))
            .arg(option(
                "expires-at",
                "TIME",
                "From when on it is refused, RFC 3339 in UTC; never if not given",
            )),
        )
        .subcommand(asking("list", "List a tenant's keys, without secrets", "  agentapi key list acme").arg(tenant()))
        .subcommand(
            asking("revoke", "Revoke a key, everywhere within a second", "  agentapi key revoke acme 3kTQ8cW0pXa1")
                .arg(tenant())
                .arg(id()),
        )
        .subcommand(
            asking(
                "rotate",
                "Issue a key like this one, which goes on working for the overlap",
                "  agentapi key rotate acme 3kTQ8cW0pXa1 --overlap 1h",
            )
            .arg(tenant())
            .arg(id())
            .arg(option(
                "overlap",
                "DURATION",
                "How long the old key goes on working; not at all if not given",
            )),
        )
}

fn vault() -> Command {
    let one = |command: Command| command.args(flags::of(one_tenant));
    group("vault", "Look at the keys that tokens are sealed under, and change them")
        .subcommand(one(asking(
            "status",
            "Print which keys there are and how many records need each",
            "  agentapi vault status",
        )))
        .subcommand(one(asking("rotate", "Give tenants new data keys", "  agentapi vault rotate --tenant acme")))
        .subcommand(one(asking(
            "rewrap",
            "Encrypt everything under the newest keys, and destroy the others",
            "  agentapi vault rewrap",
        )))
}

/// Moving a tenant.
fn moving() -> [Command; 2] {
    let one = || option("tenant", "TENANT", "Which tenant").required(true);
    [
        asking(
            "export",
            "Write down all that a tenant has, to move or to keep it",
            "  agentapi export --tenant acme --output acme.ndjson",
        )
        .arg(one())
        .arg(option("output", "FILE", "Where to; standard output if not given")),
        asking(
            "import",
            "Make a tenant of what was exported; it must not be there yet",
            "  agentapi import --tenant acme --input acme.ndjson --url http://other:3284\n  \
             agentapi export --tenant acme | agentapi import --tenant acme --url http://other:3284",
        )
        .arg(one())
        .arg(option("input", "FILE", "Where from; standard input if not given")),
    ]
}

/// The whole tree.
pub(super) fn tree() -> Command {
    let shell = word("shell", "SHELL", "The shell").value_parser(PossibleValuesParser::new(SHELLS));
    Command::new("agentapi")
        .about("AgentAPI, the multi-tenant session and state server")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(ROOT_HELP)
        .override_usage("agentapi [COMMAND] [--VARIABLE VALUE]...")
        // The same on every terminal, so that what is printed can be compared.
        .term_width(110)
        .args_override_self(true)
        .subcommand_required(true)
        .disable_help_flag(false)
        .subcommand(
            command(
                "serve",
                "Serve (the default)",
                "  agentapi serve --port 8080\n  REDIS_URL=redis://localhost:6379/0 agentapi",
            )
            .args(flags::of(Config::read)),
        )
        .subcommand(
            printing(
                "doctor",
                "Check the configuration and the backend, and tell what to mend, in which order; needs no running server",
                "  agentapi doctor && agentapi serve\n  agentapi doctor --json | jq '.findings'",
            )
            .args(flags::of(Config::read)),
        )
        .subcommand(
            command(
                "healthcheck",
                "Ask the server at HOST and PORT for /status: 0 when requests can be served, else 1",
                "  agentapi healthcheck || echo it does not serve",
            )
            .args(flags::of(Nearby::read)),
        )
        .subcommand(printing(
            "keygen",
            "Print a fresh TOKEN_ENCRYPTION_KEY and ADMIN_API_KEY, as lines of a .env file",
            "  agentapi keygen >> .env",
        ))
        .subcommand(tenant())
        .subcommand(key())
        .subcommand(vault())
        .subcommands(moving())
        .subcommand(printing("env", "Print every variable with its default, as .env.example", "  agentapi env > .env"))
        .subcommand(command(
            "configuration",
            "Print every variable with its default for people, Markdown",
            "  agentapi configuration | less",
        ))
        .subcommand(command(
            "openapi",
            "Print the API description, OpenAPI 3.1",
            "  agentapi openapi | jq '.paths | keys'",
        ))
        .subcommand(command("reference", "Print the API reference, Markdown", "  agentapi reference | less"))
        .subcommand(printing("keys", "Print what is kept under which keys, Markdown", "  agentapi keys | grep session"))
        .subcommand(
            command(
                "completions",
                "Print the completions for a shell",
                "  agentapi completions bash > ~/.local/share/bash-completion/completions/agentapi\n  \
                 agentapi completions zsh > ~/.zfunc/_agentapi",
            )
            .arg(shell),
        )
        .subcommand(printing("version", "Print the version", "  agentapi version --json"))
}
