//! The ways in which the double fails.

use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use futures_util::stream;
use serde_json::{Value, json};
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

/// One way to fail.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Runs nothing and answers this.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Runs nothing and closes the connection.
    HangUpBefore,
    /// Runs everything and closes the connection without an answer.
    HangUpAfter,
    /// Runs everything, announces the whole answer and closes the connection after half of it.
    Truncated,
    /// Runs everything and answers in pieces of one byte with a pause before each.
    Drip(Duration),
    /// Runs nothing and answers this many bytes without announcing how many.
    Flood(usize),
    /// Runs nothing, announces this many bytes and keeps the connection open without sending one.
    Announce(u64),
    /// Runs everything and leaves out the last result.
    OneResultLess,
    /// Runs everything and repeats the last result.
    OneResultMore,
    /// Runs everything and puts this error in place of one result.
    ItemError(usize, &'static str),
    /// Waits before it runs anything.
    DelayBefore(Duration),
    /// Runs everything and waits before it answers.
    DelayAfter(Duration),
}

impl Fault {
    /// An answer without further headers.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Fault::Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// What happens before anything runs: an answer in place of the work, or nothing.
    pub(super) async fn before(&self, request: &HttpRequest) -> Option<HttpResponse> {
        match self {
            Fault::Answer { status, headers, body } => {
                let mut response = HttpResponse::build(StatusCode::from_u16(*status).expect("a status"));
                for (name, value) in headers {
                    response.insert_header((*name, value.as_str()));
                }
                Some(response.body(body.clone()))
            }
            Fault::HangUpBefore => Some(hang_up(request, b"")),
            Fault::Flood(bytes) => {
                let piece = || Ok::<_, actix_web::Error>(Bytes::from_static(&[b' '; 1024]));
                Some(HttpResponse::Ok().streaming(stream::iter((0..bytes.div_ceil(1024)).map(move |_| piece()))))
            }
            Fault::Announce(bytes) => {
                write_raw(request, format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes());
                std::future::pending().await
            }
            Fault::DelayBefore(time) => {
                tokio::time::sleep(*time).await;
                None
            }
            _ => None,
        }
    }

    /// What becomes of the results of a request that ran.
    pub(super) fn distort(&self, results: &mut Vec<Value>) {
        match self {
            Fault::OneResultLess => drop(results.pop()),
            Fault::OneResultMore => results.extend(results.last().cloned()),
            Fault::ItemError(index, line) => results[*index] = json!({"error": line}),
            _ => {}
        }
    }

    /// What happens once the answer is known: another way of sending it, or nothing.
    pub(super) async fn after(&self, request: &HttpRequest, body: &[u8]) -> Option<HttpResponse> {
        match self {
            Fault::HangUpAfter => Some(hang_up(request, b"")),
            Fault::Truncated => {
                let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
                bytes.extend(&body[..body.len() / 2]);
                Some(hang_up(request, &bytes))
            }
            Fault::Drip(pause) => {
                let pause = *pause;
                let drops = stream::unfold(Bytes::copy_from_slice(body).into_iter(), move |mut rest| async move {
                    tokio::time::sleep(pause).await;
                    let byte = rest.next()?;
                    Some((Ok::<_, actix_web::Error>(Bytes::from(vec![byte])), rest))
                });
                Some(HttpResponse::Ok().streaming(drops))
            }
            Fault::DelayAfter(time) => {
                tokio::time::sleep(*time).await;
                None
            }
            _ => None,
        }
    }
}

/// A second handle of a connection, to say on it what the HTTP server would not.
pub(super) struct Socket(std::net::TcpStream);

impl Socket {
    pub(super) fn of(stream: &TcpStream) -> Option<Self> {
        Some(Socket(std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().ok()?)))
    }
}

/// Says on the connection what the HTTP server would not.
fn write_raw<'a>(request: &'a HttpRequest, bytes: &[u8]) -> &'a std::net::TcpStream {
    let Socket(socket) = request.conn_data().expect("a plain connection");
    let mut writer = socket;
    writer.write_all(bytes).expect("room in the socket for a few bytes");
    socket
}

/// Writes raw bytes and closes the connection. The response that is returned reaches nobody.
fn hang_up(request: &HttpRequest, bytes: &[u8]) -> HttpResponse {
    write_raw(request, bytes).shutdown(Shutdown::Both).expect("an open socket");
    HttpResponse::Ok().finish()
}
