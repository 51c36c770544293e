//! A real `redis-server`, of its own port and directory, that ends with the value that started it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The longest that a server may take to answer its first `PING`.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on the loopback interface. Killed when dropped.
pub struct RedisServer {
    port: u16,
    options: Vec<String>,
    directory: tempfile::TempDir,
    child: Mutex<Option<Child>>,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with more options, such as `["--maxmemory", "1mb"]`.
    pub fn start_with(options: &[&str]) -> Self {
        // Another process may take the free port between its choice and its use, so a few are tried.
        for _ in 0..5 {
            let port = free_port();
            let server = RedisServer {
                port,
                options: options.iter().map(ToString::to_string).collect(),
                directory: tempfile::tempdir().expect("a temporary directory"),
                child: Mutex::new(None),
            };
            if server.launch() {
                return server;
            }
        }
        panic!("redis-server did not start on any of five free ports");
    }

    /// One server for all tests that only need their own keys; it ends with the last that holds it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(RedisServer::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server at once, as a crash would. What it held is lost.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no test panicked here").take() {
            child.kill().expect("the server was running");
            child.wait().expect("the server ended");
        }
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&self) {
        self.kill();
        assert!(self.launch(), "redis-server did not come back on port {}", self.port);
    }

    /// Whether the server started and answers.
    fn launch(&self) -> bool {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("redis-server is needed and cannot be started: {error}"));
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if child.try_wait().expect("its state").is_some() {
                return false;
            }
            if answers(self.port) {
                *self.child.lock().expect("no test panicked here") = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().expect("the server was running");
        child.wait().expect("the server ended");
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// Whether something that speaks Redis is there: `PONG`, or a refusal for want of a password.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && (&answer == b"+PONG" || &answer == b"-NOAU")
}

#[test]
fn a_killed_server_is_gone_and_comes_back_empty_on_its_port() {
    let ask = |port, line: &[u8]| -> std::io::Result<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(line)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        Ok(answer[1])
    };
    let server = RedisServer::start();
    assert_eq!(ask(server.port(), b"SET k v\r\n").unwrap(), b'O');
    assert_eq!(ask(server.port(), b"EXISTS k\r\n").unwrap(), b'1');
    server.kill();
    assert!(ask(server.port(), b"EXISTS k\r\n").is_err());
    server.restart();
    assert_eq!(ask(server.port(), b"EXISTS k\r\n").unwrap(), b'0');
}
