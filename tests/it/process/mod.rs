//! The built binary, as an operator runs it.

mod administration;
mod clocks;
mod command_line;
mod doctor;
mod draining;
mod failover;
mod healthcheck;
mod moving;
mod outage;
mod secrets;
mod serving;
mod standby;
mod stopping;
mod traces;
mod vault;

use crate::harness::app::{Caller, install_crypto};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest that a process may take for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that sees these variables, and nothing else of the tests' environment or folder.
fn agentapi(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentapi"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must come.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(agentapi(folder.path(), arguments, variables), folder);
    let status = process.ended();
    process.readers.drain(..).for_each(|reader| reader.join().unwrap());
    Output { status, stdout: process.out().into_bytes(), stderr: process.log().into_bytes() }
}

/// A server process. Killed when dropped.
struct Process {
    child: Child,
    out: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Process {
    /// `agentapi serve` on a free loopback port.
    fn serve(variables: &[(&str, &str)]) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let mut command = agentapi(folder.path(), &["serve", "--port", "0"], variables);
        command.env("HOST", "127.0.0.1").env("WORKERS", "1");
        if !variables.iter().any(|(name, _)| *name == "RATE_LIMIT_ENABLED") {
            command.env("RATE_LIMIT_ENABLED", "false");
        }
        if !variables.iter().any(|(name, _)| *name == "SHUTDOWN_DELAY") {
            command.env("SHUTDOWN_DELAY", "0");
        }
        Process::start(command, folder)
    }

    fn start(mut command: Command, folder: tempfile::TempDir) -> Process {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, reads_out) = collect(child.stdout.take().unwrap());
        let (log, reads_log) = collect(child.stderr.take().unwrap());
        Process { child, out, log, readers: vec![reads_out, reads_log], _folder: folder }
    }

    /// How it ended, which it must.
    fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it goes on: {}\n{}", self.out(), self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What `find` finds in the output and the log, once it is there.
    fn wait_for<T>(&mut self, find: impl Fn(&str, &str) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = find(&self.out(), &self.log()) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < PATIENCE, "{ended:?}\n{}\n{}", self.out(), self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens: told in the welcome on the embedded backend, else in the log.
    fn base(&mut self) -> String {
        self.wait_for(|out, log| {
            let welcome = out.split_once("listens on ").filter(|_| out.ends_with("\n\n"));
            let address = || log.split_once("\"address\":\"").map(|(_, rest)| rest.split('"').next().unwrap());
            let welcome = welcome.map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned());
            welcome.or_else(|| address().map(|address| format!("http://{address}")))
        })
    }

    /// Somebody without a credential.
    fn anyone(&mut self) -> Caller {
        install_crypto();
        Caller::of(&self.base())
    }

    /// Asks it to end.
    fn signal(&self) {
        // The standard library sends no signals but SIGKILL; every shell does.
        let signal = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
    }

    /// Asks it to end and waits until it has; its exit code, and all that it wrote.
    fn terminate(self) -> (Option<i32>, String, String) {
        self.signal();
        self.ends()
    }

    /// Waits until it has ended; its exit code, and all that it wrote.
    fn ends(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status.code(), self.out(), self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(mut from: impl Read + Send + 'static) -> (Arc<Mutex<String>>, std::thread::JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let into = text.clone();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
    (text, reader)
}
