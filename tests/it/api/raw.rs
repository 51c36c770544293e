//! Requests that no well-behaved client library sends: paths as they are written, bodies in pieces.

use crate::harness::app::App;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back: the status, and the head and body as text.
pub struct RawAnswer {
    pub status: u16,
    pub text: String,
}

/// Sends the lines of a request's head and a body, on a connection that the server is to close.
pub async fn exchange(app: &App, request_line: &str, headers: &[&str], body: &[u8]) -> RawAnswer {
    let address = app.base.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(address).await.expect("the application listens");
    let mut head = format!("{request_line} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.expect("room for the head");
    stream.write_all(body).await.expect("room for the body");
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await;
    read.expect("the answer comes").expect("the answer is whole");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer { status: status.unwrap_or_else(|| panic!("no status in {text}")), text }
}

/// A body in the chunked transfer coding, which announces no length.
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in body.chunks(100) {
        coded.extend(format!("{:x}\r\n", chunk.len()).bytes());
        coded.extend(chunk);
        coded.extend(b"\r\n");
    }
    coded.extend(b"0\r\n\r\n");
    coded
}
