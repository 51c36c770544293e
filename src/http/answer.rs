//! JSON answers.

use super::problem::Problem;
use crate::base::code::Code;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use serde::Serialize;

/// Most answers fit, so that writing them moves nothing.
const ROOM: usize = 1024;

/// The answer with this head and the JSON that `write` appends.
pub fn json_text(head: &mut HttpResponseBuilder, write: impl FnOnce(&mut Vec<u8>)) -> HttpResponse {
    let mut text = Vec::with_capacity(ROOM);
    write(&mut text);
    json_bytes(head, text)
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
