//! JSON answers.

use super::problem::Problem;
use crate::base::code::Code;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use std::cell::Cell;

/// Most answers fit, so that writing them moves nothing.
const ROOM: usize = 1024;
/// The most room that is kept for the next answer.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// Where answers are written, from where they are taken in the length that they have.
    static PAPER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The answer with this head and the JSON that `write` appends.
pub fn json_text(head: &mut HttpResponseBuilder, write: impl FnOnce(&mut Vec<u8>)) -> HttpResponse {
    let mut text = PAPER.take();
    text.reserve(ROOM);
    write(&mut text);
    if text.capacity() > KEPT {
        return json_bytes(head, text);
    }
    let answer = json_bytes(head, Bytes::copy_from_slice(&text));
    text.clear();
    PAPER.set(text);
    answer
}

/// The answer with this head and this JSON.
pub fn json_bytes(head: &mut HttpResponseBuilder, text: impl Into<Bytes>) -> HttpResponse {
    head.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(text.into())
}

/// The answer with this head and a JSON body.
///
/// # Errors
/// 500 when the body cannot be written as JSON, which no type of this project is the cause of.
pub fn json(head: &mut HttpResponseBuilder, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let mut written = Ok(());
    let answer = json_text(head, |text| written = serde_json::to_writer(text, body));
    written.map(|()| answer).map_err(|error| {
        tracing::error!(category = ?error.classify(), "an answer cannot be written");
        Problem::new(Code::Internal, "The request could not be completed.")
    })
}
