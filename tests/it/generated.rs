//! The documents that are made from the code are as the code would make them now.

use std::path::Path;

/// Compares a committed document with its text as it would be made now. `UPDATE_DOCS=1` writes it instead.
#[track_caller]
pub fn assert_current(document: &str, now: &str, how: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, now).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(now.lines()).position(|(old, new)| old != new);
    let line = differs.unwrap_or(committed.lines().count().min(now.lines().count()));
    assert!(
        committed == now,
        "{document} is not what the code makes, from line {} on:\n- {}\n+ {}\nRenew it: {how}",
        line + 1,
        committed.lines().nth(line).unwrap_or_default(),
        now.lines().nth(line).unwrap_or_default(),
    );
}

#[test]
fn the_api_reference_is_the_endpoint_table() {
    assert_current("docs/api.md", &agentapi::cli::reference(), "cargo run -- reference > docs/api.md");
}

#[test]
fn the_table_of_keys_is_the_families_of_the_stores() {
    assert_current("docs/keys.md", &agentapi::cli::keys_table(), "cargo run -- keys > docs/keys.md");
}

#[test]
fn the_example_environment_is_what_the_configuration_reads() {
    assert_current(".env.example", &agentapi::cli::environment(), "cargo run -- env > .env.example");
}

#[test]
fn the_table_of_variables_is_what_the_configuration_reads() {
    let how = "cargo run -- configuration > docs/configuration.md";
    assert_current("docs/configuration.md", &agentapi::cli::configuration(), how);
}

#[test]
fn the_command_line_is_described_by_its_own_help() {
    let how = "UPDATE_DOCS=1 cargo test --test it -- generated";
    assert_current("docs/command-line.md", &agentapi::cli::command_line(), how);
}
