//! A real `redis-server`, of its own port and directory, that ends with the value that started it.

use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The longest that a server may take to answer its first `PING`.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on the loopback interface. Killed when dropped.
pub struct RedisServer {
    port: u16,
    /// Bound and never listening, it keeps the port for the server, also while that is not running.
    _reserved: Socket,
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
        let (reserved, port) = reserve();
        let server = RedisServer {
            port,
            _reserved: reserved,
            options: options.iter().map(ToString::to_string).collect(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            child: Mutex::new(None),
        };
        server.begin();
        server.until_it_answers();
        server
    }

    /// A server that has written down what it acknowledges, and knows it again after [`RedisServer::kill`].
    /// With `appendfsync everysec` that would not be so: while a sync goes on, it answers and does not write.
    pub fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
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

    /// Ends the server at once, as a crash would. What it did not write down is lost.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("no test panicked here").take() {
            child.kill().expect("the server was running");
            child.wait().expect("the server ended");
        }
    }

    /// Starts it again on the same port, with what it wrote down.
    pub fn restart(&self) {
        self.kill();
        self.begin();
        self.until_it_answers();
    }

    /// Starts the process and does not wait for it.
    pub fn begin(&self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("redis-server is needed and cannot be started: {error}"));
        let before = self.child.lock().expect("no test panicked here").replace(child);
        assert!(before.is_none(), "it was running already");
    }

    /// Waits for the first answer, which must come, and says when it did.
    pub fn until_it_answers(&self) -> Instant {
        let begun = Instant::now();
        while !answers(self.port) {
            let ended = match self.child.lock().expect("no test panicked here").as_mut() {
                Some(child) => child.try_wait().expect("its state").is_some(),
                None => true,
            };
            assert!(!ended, "redis-server ended instead of listening on port {}", self.port);
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer on port {}", self.port);
            std::thread::sleep(Duration::from_millis(2));
        }
        Instant::now()
    }

    /// Stops the process where it is: it keeps its connections and does nothing.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.lock().expect("no test panicked here");
        let process = child.as_ref().expect("the server is running").id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} was not sent");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that no other process gets while the socket lives. Whoever sets `SO_REUSEADDR`, as Redis does, may
/// listen there.
fn reserve() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a loopback port");
    let port = socket.local_addr().expect("its address").as_socket().expect("an IP address").port();
    (socket, port)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &RedisServer, line: &[u8]) -> std::io::Result<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(line)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        Ok(answer[1])
    }

    #[test]
    fn a_killed_server_is_gone_and_comes_back_empty_on_its_port() {
        let server = RedisServer::start();
        assert_eq!(ask(&server, b"SET k v\r\n").unwrap(), b'O');
        assert_eq!(ask(&server, b"EXISTS k\r\n").unwrap(), b'1');
        server.kill();
        assert!(ask(&server, b"EXISTS k\r\n").is_err());
        server.restart();
        assert_eq!(ask(&server, b"EXISTS k\r\n").unwrap(), b'0');
    }

    #[test]
    fn a_durable_server_comes_back_with_what_it_acknowledged() {
        let server = RedisServer::start_durable();
        assert_eq!(ask(&server, b"SET k v\r\n").unwrap(), b'O');
        server.restart();
        assert_eq!(ask(&server, b"EXISTS k\r\n").unwrap(), b'1');
    }

    #[test]
    fn a_stopped_server_answers_nobody_until_it_goes_on() {
        let server = RedisServer::start();
        server.stop();
        assert_eq!(ask(&server, b"EXISTS k\r\n").unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        server.go_on();
        server.until_it_answers();
        assert_eq!(ask(&server, b"EXISTS k\r\n").unwrap(), b'0');
        server.stop();
    }
}
