//! Commands, and what is said of a wrong configuration.

use super::run;
use serde_json::Value;

#[track_caller]
fn prints(arguments: &[&str]) -> String {
    let output = run(arguments, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_documents_are_printed_as_they_are_committed() {
    assert_eq!(prints(&["env"]), agentapi::cli::environment());
    assert_eq!(prints(&["configuration"]), agentapi::cli::configuration());
    assert_eq!(prints(&["reference"]), agentapi::cli::reference());
    assert_eq!(prints(&["keys"]), agentapi::cli::keys_table());
    let description: Value = serde_json::from_str(&prints(&["openapi"])).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    assert!(description["paths"]["/v1/sessions"].is_object());
}

#[test]
fn version_and_help_say_what_they_should() {
    let version = format!("agentapi {}\n", env!("CARGO_PKG_VERSION"));
    for word in ["version", "--version", "-V"] {
        assert_eq!(prints(&[word]), version);
    }
    for word in ["help", "--help", "-h"] {
        let help = prints(&[word]);
        for command in [
            "serve",
            "doctor",
            "healthcheck",
            "tenant",
            "key",
            "vault",
            "env",
            "configuration",
            "openapi",
            "reference",
            "keys",
            "version",
        ] {
            assert!(help.contains(&format!("  {command} ")), "{command} is not in\n{help}");
        }
    }
}

#[track_caller]
fn refuses(arguments: &[&str], variables: &[(&str, &str)], said: &[&str]) {
    let output = run(arguments, variables);
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out), (Some(2), ""), "{log}");
    for words in said {
        assert!(log.contains(words), "{words} is not in\n{log}");
    }
    for (_, value) in variables {
        assert!(!value.contains("canary") || !log.contains(value), "{value} is in\n{log}");
    }
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn all_mistakes_are_told_together_by_name_and_without_their_values() {
    let variables = [
        ("PORT", "canary-1"),
        ("REDIS_URL", "http://canary-2"),
        ("SESSION_TTL", "canary-3"),
        ("ADMIN_API_KEY", "canary-4"),
        ("LOG_LEVEL", "canary-5"),
        ("TRUSTED_PROXIES", "canary-6"),
        ("CORS_ORIGINS", "https://canary-10.example/"),
        ("TLS_CERT_FILE", "/nowhere/canary-7"),
        ("METRICS_TOKEN_FILE", "/nowhere/canary-8"),
        ("MAX_BODY_BYTES", "canary-9"),
    ];
    let names = variables.map(|(name, _)| name);
    refuses(&["serve"], &variables, &names);
    refuses(&[], &variables, &names);
}

#[test]
fn one_backend_without_what_it_needs_names_what_is_missing() {
    let rest = ("REDIS_PROTOCOL", "rest");
    refuses(&[], &[rest], &["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"]);
    refuses(&[], &[rest, ("UPSTASH_REDIS_REST_URL", "https://canary.example")], &["UPSTASH_REDIS_REST_TOKEN"]);
    refuses(&[], &[("UPSTASH_REDIS_REST_TOKEN", "canary")], &["REDIS_PROTOCOL", "REDIS_URL"]);
    refuses(&[], &[("SESSION_STORAGE", "redis")], &["SESSION_STORAGE"]);
}

#[test]
fn a_secret_and_its_file_may_not_both_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "another-admin-key-of-32-characters-or-more").unwrap();
    let both = [
        ("ADMIN_API_KEY", "admin-key-canary-of-32-characters-or-more"),
        ("ADMIN_API_KEY_FILE", file.to_str().unwrap()),
    ];
    refuses(&[], &both, &["ADMIN_API_KEY", "ADMIN_API_KEY_FILE"]);
}

#[test]
fn a_wrong_call_is_refused() {
    refuses(&["swerve"], &[], &["unrecognized subcommand 'swerve'", "serve"]);
    refuses(&["serve", "canary"], &[], &["a word too many"]);
    refuses(&["serve", "--redis-password", "two", "canary"], &[], &["a word too many"]);
    refuses(&["serve", "--port"], &[], &["a value is required for '--port <VALUE>'"]);
    refuses(&["serve", "--no-such-thing", "canary"], &[], &["--no-such-thing"]);
    refuses(&["--no-such-thing=canary"], &[], &["--no-such-thing"]);
    refuses(&["serve", "--port=canary"], &[], &["PORT"]);
    refuses(&["serve", "--json"], &[], &["--json"]);
    refuses(&["completions", "cmd"], &[], &["bash"]);
    refuses(&["tenant"], &[], &["requires a subcommand"]);
}

#[test]
fn every_command_has_an_example_in_its_help_and_what_asks_prints_json() {
    let help = prints(&["help"]);
    for command in ["serve", "keygen", "env", "openapi", "reference", "keys", "completions", "version"] {
        assert!(help.contains(&format!("  {command} ")), "{command}");
        assert!(prints(&[command, "--help"]).contains(&format!("agentapi {command}")), "{command}");
    }
    for (group, commands) in [
        ("tenant", &["create", "list", "suspend", "resume", "purge"][..]),
        ("key", &["create", "list", "revoke", "rotate"]),
        ("vault", &["status", "rotate", "rewrap"]),
    ] {
        for command in commands {
            let help = prints(&[group, command, "--help"]);
            assert!(help.contains(&format!("Example:\n  agentapi {group} {command}")), "{help}");
            assert!(help.contains("--json") && help.contains("--url"), "{help}");
            assert_eq!(prints(&["help", group, command]), help);
        }
    }
    let (short, long) = (prints(&["serve", "-h"]), prints(&["serve", "--help"]));
    assert!(!short.contains("--redis-url") && long.contains("--redis-url") && long.contains("REDIS_URL"), "{short}");
}

#[test]
fn what_is_printed_for_machines_is_json() {
    let json = |arguments: &[&str]| serde_json::from_str::<Value>(&prints(arguments)).unwrap();
    assert_eq!(json(&["version", "--json"])["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json(&["keys", "--json"])["items"][0]["family"], "tenant");
    let variables = json(&["env", "--json"]);
    assert!(variables["items"].as_array().unwrap().iter().any(|variable| variable["name"] == "REDIS_URL"));
}

#[test]
fn fresh_secrets_are_taken_as_they_are_printed_and_are_never_the_same() {
    let (one, other) = (prints(&["keygen"]), prints(&["keygen"]));
    let pairs = |text: &str| -> Vec<(String, String)> {
        text.lines().map(|line| line.split_once('=').unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    };
    assert!(pairs(&one).iter().zip(pairs(&other)).all(|(a, b)| a.0 == b.0 && a.1 != b.1), "{one}{other}");
    let mut env = agentapi::base::env::Env::new(pairs(&one));
    let config = agentapi::config::Config::read(&mut env);
    env.finish().unwrap();
    assert!(config.vault.is_some() && config.platform.admin_key.is_some());
    let json: Value = serde_json::from_str(&prints(&["keygen", "--json"])).unwrap();
    assert_eq!(json["TOKEN_ENCRYPTION_KEY"].as_str().unwrap().len(), 64);
}

#[test]
fn every_shell_gets_completions_that_know_commands_and_flags() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = prints(&["completions", shell]);
        for word in ["rewrap", "redis-url", "create-key"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let checked = std::process::Command::new("bash").args(["-n", "-c", &prints(&["completions", "bash"])]).status();
    assert!(checked.unwrap().success());
}
