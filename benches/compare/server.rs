//! This server under test, and the one session that is read: made as a client makes it, through the admin API.

use crate::Failure;
use crate::processes::{Process, free_port};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub const ADMIN_KEY: &str = "an-admin-key-that-only-this-bench-knows";

/// A session, and how to read it.
pub struct Session {
    /// Its path.
    pub path: String,
    /// The API key of its tenant.
    pub api_key: String,
    /// How many bytes an answer's body has.
    pub answer_length: usize,
}

/// The server's own limit on requests: off, or so far away that nobody reaches it.
pub const UNLIMITED: &[(&str, &str)] = &[("RATE_LIMIT_ENABLED", "false")];
pub const LIMITED: &[(&str, &str)] =
    &[("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000000")];

/// Starts the server with one worker on that Redis and waits until it is ready. Its log goes nowhere, but is written.
pub fn start(directory: &Path, redis: u16, limit: &[(&str, &str)]) -> Result<Process, Failure> {
    let program = std::env::var("BENCH_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_agentapi").to_owned());
    let port = free_port()?;
    let mut command = Command::new(std::fs::canonicalize(program)?);
    // An empty directory, so that no .env of a developer is read.
    command.arg("serve").current_dir(directory).env_clear().envs([
        ("HOST", "127.0.0.1"),
        ("PORT", &port.to_string()),
        ("WORKERS", "1"),
        ("REDIS_URL", &format!("redis://127.0.0.1:{redis}/0")),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("RATE_LIMIT_ENABLED", "false"),
        ("TOKEN_ENCRYPTION_KEY", &"0123456789abcdef".repeat(4)),
    ]);
    command.envs(limit.iter().copied());
    let server = Process::start(command, port)?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while call(&server, "GET", "/health/ready", "", None).map_or(0, |answer| answer.status) != 200 {
        if Instant::now() > deadline {
            return Err("the server does not become ready".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

/// Makes a tenant with a key, and a session of 200 bytes of data in it.
pub fn create_session(server: &Process) -> Result<Session, Failure> {
    let tenant = json!({"id": "bench", "create_key": true});
    let created = call(server, "POST", "/admin/v1/tenants", ADMIN_KEY, Some(&tenant))?.expect(201)?;
    let api_key = find_api_key(&serde_json::from_slice(&created)?).ok_or("the new tenant has no key")?;

    let session = json!({"user_id": "u1", "data": {"text": "x".repeat(188)}});
    let created = call(server, "POST", "/v1/sessions", &api_key, Some(&session))?.expect(201)?;
    let created: Value = serde_json::from_slice(&created)?;
    let id = created.get("id").and_then(Value::as_str).ok_or("the new session has no id")?;
    let path = format!("/v1/sessions/{id}");
    let answer = call(server, "GET", &path, &api_key, None)?.expect(200)?;
    Ok(Session { path, api_key, answer_length: answer.len() })
}

/// The secret of the first key, wherever in the answer it stands.
pub fn find_api_key(answer: &Value) -> Option<String> {
    match answer {
        Value::String(text) => text.starts_with("agk_").then(|| text.clone()),
        Value::Object(members) => members.values().find_map(find_api_key),
        Value::Array(items) => items.iter().find_map(find_api_key),
        _ => None,
    }
}

/// An answer over HTTP.
pub struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The body, when the status is the expected one.
    pub fn expect(self, status: u16) -> Result<Vec<u8>, Failure> {
        if self.status == status {
            return Ok(self.body);
        }
        Err(format!("expected {status}, not {}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}

/// One request over a connection of its own.
pub fn call(server: &Process, method: &str, path: &str, key: &str, body: Option<&Value>) -> Result<Answer, Failure> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an answer without an end of its head")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer)?;
    let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
    Ok(Answer { status, body })
}
