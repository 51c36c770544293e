//! `agentapi serve`, from its first line to its end.

use super::Process;
use crate::harness::redis_server::RedisServer;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::process::Command;

/// What `LABEL   value` says in the welcome.
fn said<'a>(welcome: &'a str, label: &str) -> &'a str {
    let line = welcome.lines().find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("{label} is not in\n{welcome}")).trim()
}

/// The words of a shell command: what stands in single quotes is one.
fn words(command: &str) -> Vec<String> {
    let joined = command.replace("\\\n", " ");
    let parts = joined.split('\'').enumerate();
    parts
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[tokio::test]
async fn the_printed_request_works_as_pasted() {
    let mut process = Process::serve(&[]);
    let anyone = process.anyone();
    let welcome = process.out();
    let (_, command) = welcome.split_once("Try it:\n").expect("a request to try");
    let command = command.trim();

    // As the words say it, for machines without curl.
    let words = words(command);
    assert_eq!(words[..2], ["curl", "-s"]);
    let base = process.base();
    let path = words[2].strip_prefix(&base).expect("it asks this server");
    let mut caller = anyone.clone();
    let mut body = None;
    for pair in words[3..].chunks(2) {
        match pair[0].as_str() {
            "-H" => {
                let (name, value) = pair[1].split_once(": ").unwrap();
                caller = caller.with(&name.to_ascii_lowercase(), value);
            }
            "-d" => body = Some(pair[1].clone().into_bytes()),
            other => panic!("{other} in {command}"),
        }
    }
    let session = caller.send(Method::POST, path, body).await.expect(StatusCode::CREATED);
    assert_eq!(session["user_id"], "u1");

    if Command::new("curl").arg("--version").output().is_ok() {
        let output = Command::new("sh").args(["-c", command]).env("no_proxy", "*").output().unwrap();
        let session: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(session["user_id"], "u1");
    }

    let admin = anyone.with("authorization", &format!("Bearer {}", said(&welcome, "admin key")));
    assert_eq!(admin.get("/admin/v1/tenants/default").await.expect(StatusCode::OK)["status"], "active");
    let tenant = anyone.with("x-api-key", said(&welcome, "API key"));
    let sessions = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert!(!sessions["items"].as_array().unwrap().is_empty(), "the key is of the tenant whose session was made");
    assert_eq!(said(&welcome, "reference"), format!("{base}/docs"));
    let (code, ..) = process.terminate();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn two_starts_make_two_sets_of_keys() {
    let keys = |process: &mut Process| {
        process.base();
        let welcome = process.out();
        [said(&welcome, "admin key").to_owned(), said(&welcome, "API key").to_owned()]
    };
    let (mut one, mut other) = (Process::serve(&[]), Process::serve(&[]));
    let (one, other) = (keys(&mut one), keys(&mut other));
    assert!(one.iter().all(|key| key.len() > 40 && !other.contains(key)));
}

#[tokio::test]
async fn empty_values_count_as_not_set_and_a_secret_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin-key");
    let key = "an-admin-key-from-a-file-with-a-line-end";
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let mut process = Process::serve(&[
        ("ADMIN_API_KEY_FILE", file.to_str().unwrap()),
        ("ADMIN_API_KEY", ""),
        ("REDIS_URL", ""),
        ("UPSTASH_REDIS_REST_URL", " "),
        ("SESSION_TTL", ""),
        ("LOG_LEVEL", ""),
        ("TLS_CERT_FILE", ""),
    ]);
    let anyone = process.anyone();
    assert_eq!(anyone.get("/status").await.expect(StatusCode::OK)["transport"], "memory");
    let admin = anyone.with("authorization", &format!("Bearer {key}"));
    admin.get("/admin/v1/tenants").await.expect(StatusCode::OK);
    assert!(!process.out().contains("admin key"), "one that was given is not printed");
}

#[tokio::test]
async fn over_redis_nothing_is_made_up_and_without_an_admin_key_there_is_no_admin_api() {
    let redis = RedisServer::shared();
    let mut process = Process::serve(&[("REDIS_URL", &redis.url()), ("REDIS_KEY_PREFIX", "process-no-admin")]);
    let anyone = process.anyone();
    assert_eq!(anyone.get("/status").await.expect(StatusCode::OK)["transport"], "native");
    anyone.get("/admin/v1/tenants").await.refused(404, "not_found");
    anyone.post("/admin/v1/tenants", json!({"id": "acme"})).await.refused(404, "not_found");
    let (code, out, log) = process.terminate();
    assert_eq!((code, out.as_str()), (Some(0), ""));
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn what_an_admin_does_is_in_the_audit_log_at_any_level() {
    let key = "an-admin-key-with-more-than-32-characters";
    let mut process = Process::serve(&[("ADMIN_API_KEY", key), ("LOG_LEVEL", "error")]);
    let admin = process.anyone().with("authorization", &format!("Bearer {key}"));
    admin.post("/admin/v1/tenants", json!({"id": "acme"})).await.expect(StatusCode::CREATED);
    admin.patch("/admin/v1/tenants/acme", json!({"status": "suspended"})).await.expect(StatusCode::OK);
    let (.., log) = process.terminate();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<&Value> = lines.iter().filter(|line| line["target"] == "agentapi::audit").collect();
    let seen: Vec<_> =
        audit.iter().map(|line| (line["action"].as_str(), line["tenant"].as_str(), line["actor"].as_str())).collect();
    let line = |action| (Some(action), Some("acme"), Some("admin"));
    assert_eq!(seen, [line("tenant.create"), line("tenant.change")], "{log}");
    assert!(audit[1]["before"].as_str().unwrap().contains("active"));
    assert!(audit[1]["after"].as_str().unwrap().contains("suspended"));
    assert_eq!(audit[0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_and_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = super::run(&["serve"], &[("HOST", "127.0.0.1"), ("PORT", &port)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot listen"), "{output:?}");
}
