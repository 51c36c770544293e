//! The ways in which the double fails.

use super::gzip;
use actix_web::body::SizedStream;
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
    /// Runs nothing and says this, which need not be HTTP, on the connection.
    Raw(Vec<u8>),
    /// Runs nothing and closes the connection.
    HangUpBefore,
    /// Runs everything and closes the connection without an answer.
    HangUpAfter,
    /// Runs nothing and resets the connection.
    ResetBefore,
    /// Runs everything and resets the connection without an answer.
    ResetAfter,
    /// Runs everything, announces the whole answer and closes the connection after half of it.
    Truncated,
    /// Runs everything and answers with half of the JSON, as if that were all.
    HalfTheJson,
    /// Runs everything and answers in pieces of one byte with a pause before each.
    Drip(Duration),
    /// Runs nothing and answers this many spaces without announcing how many.
    Flood(usize),
    /// Runs nothing and answers this text over and over, up to so many bytes, after a start.
    FloodOf { start: &'static str, piece: &'static str, bytes: usize },
    /// Runs nothing, announces this many bytes and sends them all.
    Bulky(u64),
    /// Runs nothing, announces this many bytes and keeps the connection open without sending one.
    Announce(u64),
    /// Runs nothing and answers with so many mebibytes of gzip, each of which is a gibibyte of the same letter.
    GzipBomb(usize),
    /// Runs everything and leaves out the last result.
    OneResultLess,
    /// Runs everything and repeats the last result.
    OneResultMore,
    /// Runs everything and puts this error in place of one result.
    ItemError(usize, &'static str),
    /// Runs nothing and refuses each command with this error, in an answer that is otherwise good.
    RefuseEach(&'static str),
    /// Runs everything and puts this JSON in place of each result.
    EachResult(&'static str),
    /// Runs everything and puts this JSON in place of the first result.
    FirstResult(&'static str),
    /// Runs everything and answers what it answered to the last request before that had as many commands.
    Stale,
    /// Waits before it runs anything.
    DelayBefore(Duration),
    /// Runs everything and waits before it answers.
    DelayAfter(Duration),
    /// Runs everything and answers twice, the second time after a pause.
    Twice(Duration),
}

/// When a fault is done: before the work, in its place, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    Instead,
    After,
}

impl Fault {
    /// An answer without further headers.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Fault::Answer { status, headers: Vec::new(), body: body.into() }
    }

    /// When it is done.
    pub(super) fn moment(&self) -> Moment {
        match self {
            Fault::DelayBefore(_) => Moment::Before,
            Fault::HangUpAfter
            | Fault::ResetAfter
            | Fault::Truncated
            | Fault::HalfTheJson
            | Fault::Drip(_)
            | Fault::OneResultLess
            | Fault::OneResultMore
            | Fault::ItemError(..)
            | Fault::EachResult(_)
            | Fault::FirstResult(_)
            | Fault::Stale
            | Fault::DelayAfter(_)
            | Fault::Twice(_) => Moment::After,
            _ => Moment::Instead,
        }
    }

    /// Whether nothing runs where it is injected.
    pub fn runs_nothing(&self) -> bool {
        self.moment() == Moment::Instead
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
            Fault::Raw(bytes) => {
                write_raw(request, bytes);
                std::future::pending().await
            }
            Fault::HangUpBefore => Some(hang_up(request, b"")),
            Fault::ResetBefore => Some(reset(request)),
            Fault::Flood(bytes) => Some(flood("", " ", *bytes)),
            Fault::FloodOf { start, piece, bytes } => Some(flood(start, piece, *bytes)),
            Fault::Bulky(bytes) => {
                let pieces = pieces("", " ", usize::try_from(*bytes).expect("it fits"));
                Some(HttpResponse::Ok().body(SizedStream::new(*bytes, pieces)))
            }
            Fault::Announce(bytes) => {
                write_raw(request, format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes());
                std::future::pending().await
            }
            Fault::GzipBomb(mebibytes) => {
                Some(HttpResponse::Ok().insert_header(("content-encoding", "gzip")).body(gzip::bomb(*mebibytes)))
            }
            Fault::DelayBefore(time) => {
                tokio::time::sleep(*time).await;
                None
            }
            _ => None,
        }
    }

    /// What is answered to these commands in place of running them.
    pub(super) fn instead(&self, commands: usize) -> Option<Vec<Value>> {
        match self {
            Fault::RefuseEach(line) => Some(vec![json!({"error": line}); commands]),
            _ => None,
        }
    }

    /// What becomes of the results of a request that ran.
    pub(super) fn distort(&self, results: &mut Vec<Value>) {
        match self {
            Fault::OneResultLess => drop(results.pop()),
            Fault::OneResultMore => results.extend(results.last().cloned()),
            Fault::ItemError(index, line) => results[*index] = json!({"error": line}),
            Fault::EachResult(text) => {
                let value: Value = serde_json::from_str(text).expect("JSON");
                results.fill(json!({"result": value}));
            }
            Fault::FirstResult(text) => {
                let value: Value = serde_json::from_str(text).expect("JSON");
                results[0] = json!({"result": value});
            }
            _ => {}
        }
    }

    /// What happens once the answer is known: another way of sending it, or nothing.
    pub(super) async fn after(&self, request: &HttpRequest, body: &[u8]) -> Option<HttpResponse> {
        match self {
            Fault::HangUpAfter => Some(hang_up(request, b"")),
            Fault::ResetAfter => Some(reset(request)),
            Fault::Truncated => {
                let mut bytes = head(body.len());
                bytes.extend(&body[..body.len() / 2]);
                Some(hang_up(request, &bytes))
            }
            Fault::HalfTheJson => Some(HttpResponse::Ok().body(body[..body.len() / 2].to_vec())),
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
            Fault::Twice(pause) => {
                let answer = [head(body.len()), body.to_vec()].concat();
                if pause.is_zero() {
                    write_raw(request, &answer.repeat(2));
                } else {
                    write_raw(request, &answer);
                    tokio::time::sleep(*pause).await;
                    write_raw(request, &answer);
                }
                // Whoever uses this connection again has an answer that waits for them, and gets no other.
                std::future::pending().await
            }
            _ => None,
        }
    }
}

fn head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

/// `start`, then `piece` over and over.
fn pieces(
    start: &'static str,
    piece: &'static str,
    bytes: usize,
) -> impl stream::Stream<Item = actix_web::Result<Bytes>> + Unpin {
    const SIZE: usize = 64 * 1024;
    let block = Bytes::from(piece.repeat(SIZE / piece.len()));
    let length = block.len();
    let whole = (0..bytes / length).map({
        let block = block.clone();
        move |_| Ok(block.clone())
    });
    stream::iter(
        std::iter::once(Ok(Bytes::from_static(start.as_bytes())))
            .chain(whole)
            .chain([Ok(block.slice(..bytes % length))]),
    )
}

fn flood(start: &'static str, piece: &'static str, bytes: usize) -> HttpResponse {
    HttpResponse::Ok().streaming(pieces(start, piece, bytes))
}

/// A second handle of a connection, to say on it what the HTTP server would not.
pub(super) struct Socket(std::net::TcpStream);

impl Socket {
    pub(super) fn of(stream: &TcpStream) -> Option<Self> {
        Some(Socket(std::net::TcpStream::from(stream.as_fd().try_clone_to_owned().ok()?)))
    }
}

fn socket(request: &HttpRequest) -> &std::net::TcpStream {
    let Socket(socket) = request.conn_data().expect("a plain connection");
    socket
}

/// Says on the connection what the HTTP server would not. A peer that has gone is no failure.
fn write_raw(request: &HttpRequest, bytes: &[u8]) {
    let mut writer = socket(request);
    drop(writer.write_all(bytes));
}

/// Writes raw bytes and closes the connection. The response that is returned reaches nobody.
fn hang_up(request: &HttpRequest, bytes: &[u8]) -> HttpResponse {
    write_raw(request, bytes);
    // The peer may have closed it first.
    drop(socket(request).shutdown(Shutdown::Both));
    HttpResponse::Ok().finish()
}

/// Makes the server drop the connection, with a reset in place of an end. The response reaches nobody.
fn reset(request: &HttpRequest) -> HttpResponse {
    socket2::SockRef::from(socket(request)).set_linger(Some(Duration::ZERO)).expect("an open socket");
    let failure = std::io::Error::other("a reset, as asked for");
    HttpResponse::Ok().streaming(stream::iter([Err::<Bytes, _>(failure)]))
}
