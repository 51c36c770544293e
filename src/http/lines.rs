//! Bodies of lines (NDJSON), in both directions, of which no more than a line or two is held: what is moved may be larger than
//! any bound on a body.

use super::problem::Problem;
use super::request::{FromRequest, Request, Stage};
use crate::base::code::Code;
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

/// The media type.
pub const NDJSON: &str = "application/x-ndjson";
/// The longest that nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request body of lines.
pub struct Lines {
    payload: Payload,
    buffer: BytesMut,
    /// How much of the buffer is known to have no line feed.
    searched: usize,
    /// How many lines were taken.
    taken: u64,
}

impl Lines {
    /// How many lines were taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The next line, without its line feed; nothing at the end.
    ///
    /// # Errors
    /// 413 when it is longer than `longest`, 408 when nothing comes for half a minute, 400 when the body breaks off.
    pub async fn next(&mut self, longest: usize) -> Result<Option<Bytes>, Problem> {
        loop {
            let found = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n');
            if let Some(at) = found.map(|at| at + self.searched).filter(|at| *at <= longest) {
                let mut line = self.buffer.split_to(at + 1);
                line.truncate(at);
                self.searched = 0;
                self.taken += 1;
                return Ok(Some(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.searched > longest {
                return Err(Problem::new(Code::BodyTooLarge, format!("A line may have {longest} bytes.")));
            }
            let late = |_| Problem::new(Code::RequestTimeout, "Send the lines without pauses.");
            match tokio::time::timeout(PATIENCE, self.payload.next()).await.map_err(late)? {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(_)) => {
                    return Err(Problem::new(Code::InvalidJson, "The body ended early or was not well formed."));
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    (self.searched, self.taken) = (0, self.taken + 1);
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }
}

impl FromRequest for Lines {
    /// # Errors
    /// 415 when the body is encoded, or of another type.
    async fn from_request(request: &Rc<Request>, payload: &mut Payload) -> Result<Self, Problem> {
        let essence = request.text_of(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(NDJSON) || !request.has_plain_body() {
            let detail = format!("Send {NDJSON} without a Content-Encoding.");
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        // From now on it waits for its client: how long it takes tells nothing of this server.
        request.stage.set(Stage::Body);
        Ok(Lines { payload: payload.take(), buffer: BytesMut::new(), searched: 0, taken: 0 })
    }
}

/// An answer of lines, for the handler that makes them as they are taken.
pub struct LinesAnswer {
    has_body: bool,
}

impl LinesAnswer {
    /// These lines, each with its line feed. An error breaks the answer off, which its reader sees.
    pub fn of<E: Error + 'static>(self, lines: impl Stream<Item = Result<Bytes, E>> + 'static) -> HttpResponse {
        let mut head = HttpResponse::Ok();
        head.insert_header((CONTENT_TYPE, NDJSON)).insert_header((CACHE_CONTROL, "no-store"));
        if self.has_body { head.streaming(Box::pin(lines)) } else { head.finish() }
    }
}

impl FromRequest for LinesAnswer {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(LinesAnswer { has_body: request.method() != Method::HEAD })
    }
}
