//! A stop loses no answer and waits for nobody who asked nothing, over plain HTTP and over TLS.

use super::{PATIENCE, Process};
use crate::harness::app::{ADMIN_KEY, install_crypto};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A connection of a client.
struct Client(Box<dyn Stream>);

impl Client {
    fn connect(address: &str, tls: Option<&Arc<ClientConfig>>) -> Client {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let Some(config) = tls else { return Client(Box::new(stream)) };
        let mut connection = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
        connection.complete_io(&mut stream).unwrap();
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        Client(Box::new(StreamOwned::new(connection, stream)))
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
        self.0.flush().unwrap();
    }

    fn head(&mut self) -> String {
        let (mut text, mut byte) = (Vec::new(), [0]);
        while !text.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {text:?}"));
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    fn answer(&mut self) -> String {
        let head = self.head();
        let length =
            head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }

    /// Waits until the server ends it, as it should be ended: over TLS with `close_notify`.
    fn ends(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }
}

/// A request to make a tenant: its head, and its body.
fn creation(id: &str, more: &str) -> (String, String) {
    let body = format!("{{\"id\":\"{id}\"}}");
    let head = format!(
        "POST /admin/v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{more}\r\n",
        body.len()
    );
    (head, body)
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";

fn stops(mut process: Process, tls: Option<Arc<ClientConfig>>) {
    let address = process.base().split_once("//").unwrap().1.to_owned();
    let connect = || Client::connect(&address, tls.as_ref());
    let (mut unused, mut idle, mut begun) = (connect(), connect(), connect());
    idle.send(LIVE);
    assert!(idle.answer().starts_with("HTTP/1.1 200"));
    begun.send("GET /heal");
    // The first thing that is said over it, something after an answer, and something that waits for a word of the server.
    let (mut first, mut second, mut third) = (connect(), connect(), connect());
    let bodies = ["first", "second", "third"]
        .map(|id| creation(id, if id == "third" { "expect: 100-continue\r\n" } else { "" }));
    first.send(&bodies[0].0);
    second.send(&format!("{LIVE}{}", bodies[1].0));
    assert!(second.answer().starts_with("HTTP/1.1 200"));
    third.send(&bodies[2].0);
    assert!(third.head().starts_with("HTTP/1.1 100"));
    let mut looks = connect();
    let all_three = "http_server_active_requests{http_request_method=\"POST\"} 3\n";
    let started = Instant::now();
    loop {
        looks.send(METRICS);
        if looks.answer().contains(all_three) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "not all requests come");
    }
    process.signal();
    for quiet in [&mut unused, &mut idle, &mut begun, &mut looks] {
        quiet.ends();
    }
    for (client, (_, body)) in [&mut first, &mut second, &mut third].into_iter().zip(&bodies) {
        client.send(body);
        let answer = client.answer();
        assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("connection: close\r\n"), "{answer}");
        client.ends();
    }
    assert_eq!(process.ended().code(), Some(0), "without waiting for the grace, of an hour");
}

const VARIABLES: [(&str, &str); 3] =
    [("ADMIN_API_KEY", ADMIN_KEY), ("REQUEST_TIMEOUT", "60s"), ("SHUTDOWN_GRACE", "1h")];

#[test]
fn what_was_asked_is_answered_and_all_else_ended_when_a_server_stops() {
    stops(Process::serve(&VARIABLES), None);
}

#[test]
fn what_was_asked_over_tls_is_answered_and_all_else_ended_when_a_server_stops() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let files = [write("crt", made.cert.pem()), write("key", made.signing_key.serialize_pem())];
    let path = |file: &Path| file.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&files[0]), path(&files[1]));
    let tls = [("TLS_CERT_FILE", certificate.as_str()), ("TLS_KEY_FILE", key.as_str())];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    stops(Process::serve(&[&VARIABLES[..], &tls].concat()), Some(Arc::new(config)));
}
