//! Large answers, sent piece by piece. A body that is one piece is copied whole into the connection's buffer and
//! is then nobody's: clients that read slowly, or never, would hold any amount of memory, and no slot. In
//! pieces it is held once, and known to be held, until its last piece is taken.

use super::admission::{Load, Sending};
use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Answers up to this size are sent as they are.
const LARGE: usize = 64 * 1024;
const PIECE: usize = 32 * 1024;

struct Pieces {
    left: Bytes,
    /// Nothing where it is the same for all, and held anyway.
    _held: Option<Sending>,
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.left.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.left.split_to(length))))
    }
}

/// Whether the answer is large.
pub(super) fn is_large(response: &HttpResponse) -> bool {
    matches!(response.body().size(), BodySize::Sized(size) if size > LARGE as u64)
}

/// The same answer, in pieces; they count as `load`'s until they are sent.
pub(super) fn in_pieces(response: HttpResponse, load: Option<&Load>) -> HttpResponse {
    let (head, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(left) => {
            let _held = load.map(|load| load.sends(left.len()));
            head.set_body(Pieces { left, _held }).map_into_boxed_body()
        }
        Err(stream) => head.set_body(stream),
    }
}
