//! Requests byte by byte, for what a client library would not send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer that has not come by then never will: a test then fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to an application.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects to `http://host:port`.
    pub fn connect(base: &str) -> Raw {
        let stream = TcpStream::connect(base.trim_start_matches("http://")).expect("the application listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Raw(stream)
    }

    /// Sends bytes; a peer that has stopped reading is no failure.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// One whole answer: its head, and the body that `Content-Length` announces.
    pub fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut byte = [0; 1];
        while !text.ends_with(b"\r\n\r\n") {
            match self.0.read(&mut byte) {
                Ok(1) => text.push(byte[0]),
                other => panic!("{other:?} after {}", String::from_utf8_lossy(&text)),
            }
        }
        let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the body arrives");
        text.extend(body);
        String::from_utf8(text).expect("text")
    }
}

/// Sends a request on a connection of its own.
pub fn exchange(base: &str, request: &[u8]) -> String {
    let mut connection = Raw::connect(base);
    connection.send(request);
    connection.answer()
}
