//! Tenants and API keys from the command line, against a running server.

use super::{Process, run};
use crate::harness::app::ADMIN_KEY;
use reqwest::StatusCode;
use serde_json::Value;

/// Runs a command against a process: its exit code, and what it prints and says.
fn asks(base: &str, words: &[&str]) -> (i32, String, String) {
    let output = run(&[words, &["--url", base]].concat(), &[("ADMIN_API_KEY", ADMIN_KEY)]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn done(base: &str, words: &[&str]) -> String {
    let (code, out, log) = asks(base, words);
    assert_eq!((code, &*log), (0, ""), "{words:?}: {out}");
    out
}

#[track_caller]
fn json(base: &str, words: &[&str]) -> Value {
    serde_json::from_str(&done(base, &[words, &["--json"]].concat())).unwrap()
}

#[tokio::test]
async fn a_tenant_and_its_keys_are_kept_from_the_command_line() {
    let mut process = Process::serve(&[("ADMIN_API_KEY", ADMIN_KEY)]);
    let base = process.base();
    let made = json(&base, &["tenant", "create", "acme", "--name", "Acme Ltd", "--create-key"]);
    let key = made["api_key"]["key"].as_str().unwrap();
    let sessions = process.anyone().with("x-api-key", key);
    sessions.get("/v1/sessions").await.expect(StatusCode::OK);
    let list = done(&base, &["tenant", "list"]);
    assert!(list.starts_with("ID ") && list.contains("\nacme ") && list.contains("Acme Ltd\n"), "{list}");
    assert_eq!(json(&base, &["tenant", "list"])["items"].as_array().unwrap().len(), 2);

    assert_eq!(done(&base, &["tenant", "suspend", "acme"]), "tenant acme is suspended\n");
    sessions.get("/v1/sessions").await.expect(StatusCode::FORBIDDEN);
    assert_eq!(done(&base, &["tenant", "resume", "acme"]), "tenant acme is active\n");
    sessions.get("/v1/sessions").await.expect(StatusCode::OK);

    let scoped = json(&base, &["key", "create", "acme", "--name", "reader", "--scopes", "sessions:read, flags:read"]);
    assert_eq!(scoped["scopes"], serde_json::json!(["sessions:read", "flags:read"]));
    let id = scoped["id"].as_str().unwrap();
    assert!(done(&base, &["key", "list", "acme"]).contains(id));
    let rotated = json(&base, &["key", "rotate", "acme", id, "--overlap", "1h"]);
    let old = process.anyone().with("x-api-key", scoped["key"].as_str().unwrap());
    old.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(done(&base, &["key", "revoke", "acme", id]), format!("key {id} revoked\n"));
    old.get("/v1/sessions").await.expect(StatusCode::UNAUTHORIZED);
    let new = process.anyone().with("x-api-key", rotated["key"].as_str().unwrap());
    new.get("/v1/sessions").await.expect(StatusCode::OK);

    assert_eq!(asks(&base, &["tenant", "purge", "acme"]).0, 2, "it was not told to");
    sessions.get("/v1/sessions").await.expect(StatusCode::OK);
    assert!(done(&base, &["tenant", "purge", "acme", "--yes"]).starts_with("tenant purge done: "));
    assert_eq!(json(&base, &["tenant", "list"])["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_server_refuses_is_told_in_its_words() {
    let mut process = Process::serve(&[("ADMIN_API_KEY", ADMIN_KEY)]);
    let base = process.base();
    for (words, code, said) in [
        (&["tenant", "create", "default"][..], 1, "answers 409"),
        (&["tenant", "suspend", "nobody"], 1, "answers 404"),
        (&["tenant", "purge", "nobody", "--yes"], 1, "answers 404"),
        (&["tenant", "suspend", "../vault"], 2, "is not a tenant's id"),
        (&["key", "list", "x/y"], 2, "is not a tenant's id"),
        (&["key", "revoke", "default", "../x"], 2, "is not the public id"),
        (&["key", "create", "default", "--scopes", "everything"], 1, "answers 422"),
        (&["key", "create", "default", "--expires-at", "soon"], 1, "answers 4"),
    ] {
        let (exit, out, log) = asks(&base, words);
        assert_eq!((exit, &*out), (code, ""), "{words:?}: {log}");
        assert!(log.contains(said) && !log.contains(ADMIN_KEY), "{words:?}: {log}");
    }
}
