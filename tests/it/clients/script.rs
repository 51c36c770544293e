//! A client in another language: a process that reads lines and answers each with one.

use super::{Client, PATIENCE};
use crate::harness::app::App;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A running script of `tests/clients`. Killed when dropped.
pub struct Script {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts it; it sees its own variables, the application's address and the key, and nothing else.
    pub fn start(command: std::process::Command, app: &App, key: &str) -> Script {
        let mut command = Command::from(command);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AGENTAPI_URL", &app.base).env("AGENTAPI_KEY", key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (asks, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Script { child, asks, answers: BufReader::new(answers).lines() }
    }

    async fn exchange(&mut self, asked: &Value) -> Option<String> {
        self.asks.write_all(format!("{asked}\n").as_bytes()).await.ok()?;
        self.answers.next_line().await.unwrap()
    }

    /// What it complained of, once it has ended.
    async fn complaint(&mut self) -> String {
        // It may have ended by itself.
        drop(self.child.start_kill());
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }
}

impl Client for Script {
    async fn ask(&mut self, asked: &Value) -> Value {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(asked)).await;
        let Ok(Some(line)) = answer else { panic!("no answer to {asked}: {answer:?}\n{}", self.complaint().await) };
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
    }
}
