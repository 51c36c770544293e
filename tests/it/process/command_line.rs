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
        for command in ["serve", "healthcheck", "env", "configuration", "openapi", "reference", "keys", "version"] {
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
    refuses(&["swerve"], &[], &["no such command"]);
    refuses(&["serve", "twice"], &[], &["only one command"]);
    refuses(&["serve", "--port"], &[], &["--port needs a value"]);
    refuses(&["serve", "--no-such-thing", "canary"], &[], &["--no-such-thing"]);
    refuses(&["serve", "--port=canary"], &[], &["PORT"]);
}
