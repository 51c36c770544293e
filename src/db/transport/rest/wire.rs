//! The words of the protocol: commands as JSON arrays of strings, answers as `{"result"}` or `{"error"}`
//! with every text in base64. What arrives is trusted in nothing: its size, its count and each of its values
//! are checked, and whatever does not fit becomes an error, never a guess.

use crate::db::{Delivery, Error, ErrorKind, Refusal, Reply};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// The most values in one answer: a value takes more room here than it does on the wire.
const MAX_VALUES: usize = 1 << 20;

/// Appends a command to the body of a request, as an array of strings: numbers too, so that no server writes
/// them differently. JSON holds text alone, so an argument that is not UTF-8 cannot be said.
pub(super) fn push_command<'a>(body: &mut Vec<u8>, arguments: impl Iterator<Item = &'a [u8]>) -> Result<(), ErrorKind> {
    body.push(if body.is_empty() { b'[' } else { b',' });
    let mut separator = b'[';
    for argument in arguments {
        body.push(separator);
        separator = b',';
        let text = std::str::from_utf8(argument)
            .map_err(|_| ErrorKind::Protocol("an argument that is not UTF-8 cannot be sent over REST"))?;
        serde_json::to_writer(&mut *body, text)
            .map_err(|_| ErrorKind::Protocol("an argument could not be written as JSON"))?;
    }
    if separator == b'[' {
        body.push(separator);
    }
    body.push(b']');
    Ok(())
}

/// Reads the answer to a batch of `expected` commands.
pub(super) fn replies(status: u16, body: &[u8], expected: usize) -> Result<Vec<Reply>, Error> {
    let unknown = |rule| Err(Error::new(ErrorKind::Protocol(rule), Delivery::Unknown));
    match (parse(body), status) {
        (Ok(Answer::Items(replies)), 200..=299) if replies.len() == expected => Ok(replies),
        (Ok(Answer::Items(_)), 200..=299) => unknown("the number of results is not that of the commands"),
        (Ok(Answer::Refused(refusal)), _) => Err(refused(status, refusal)),
        (Err(rule), 200..=299) => unknown(rule),
        (_, 300..=399) => unknown("a redirect, which is not followed"),
        _ => unknown("a status of failure without its reason"),
    }
}

/// The refusal of a whole request: nothing ran, unless the server failed in the middle.
fn refused(status: u16, refusal: Refusal) -> Error {
    let delivery = match status {
        500.. => Delivery::Unknown,
        _ if refusal.is_transient() => Delivery::NotSent,
        _ => Delivery::Answered,
    };
    Error { delivery, ..Error::from(refusal) }
}

enum Answer {
    Items(Vec<Reply>),
    Refused(Refusal),
}

/// What the parser has learned so far, besides what it returns.
#[derive(Clone, Copy)]
struct Limits<'p> {
    /// Which rule was broken: serde's own errors quote values.
    broken: &'p Cell<&'static str>,
    values_left: &'p Cell<usize>,
}

fn parse(body: &[u8]) -> Result<Answer, &'static str> {
    let broken = Cell::new("the answer is not JSON of its form");
    let values_left = Cell::new(MAX_VALUES);
    let limits = Limits { broken: &broken, values_left: &values_left };
    let mut json = serde_json::Deserializer::from_slice(body);
    let answer = json.deserialize_any(AnswerVisitor(limits)).map_err(|_| broken.get())?;
    json.end().map_err(|_| "something follows the answer")?;
    Ok(answer)
}

impl Limits<'_> {
    fn broken<T, E: serde::de::Error>(self, rule: &'static str) -> Result<T, E> {
        self.broken.set(rule);
        Err(E::custom(rule))
    }

    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        match self.values_left.get().checked_sub(1) {
            Some(left) => {
                self.values_left.set(left);
                Ok(())
            }
            None => self.broken("the answer has too many values"),
        }
    }
}

/// The whole answer: a list of items, or one item that refuses everything.
struct AnswerVisitor<'p>(Limits<'p>);

impl<'de> Visitor<'de> for AnswerVisitor<'_> {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of results")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Answer, A::Error> {
        let mut replies = Vec::new();
        while let Some(reply) = items.next_element_seed(Item(self.0))? {
            replies.push(reply);
        }
        Ok(Answer::Items(replies))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Answer, A::Error> {
        match Item(self.0).visit_map(fields)? {
            Reply::Refused(refusal) => Ok(Answer::Refused(refusal)),
            _ => self.0.broken("the answer is one result in place of a list"),
        }
    }
}

/// `{"result": X}` or `{"error": "TEXT"}`.
struct Item<'p>(Limits<'p>);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Reply;

    fn deserialize<D: Deserializer<'de>>(self, item: D) -> Result<Reply, D::Error> {
        item.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Reply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result or an error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Reply, A::Error> {
        self.0.count()?;
        let mut result = None;
        let mut error: Option<Cow<'de, str>> = None;
        while let Some(field) = fields.next_key::<Cow<'de, str>>()? {
            match &*field {
                "result" => result = Some(fields.next_value_seed(Value(self.0))?),
                "error" => error = fields.next_value()?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (error, result) {
            (Some(line), _) => Ok(Reply::Refused(Refusal::from_line(&line))),
            (None, Some(reply)) => Ok(reply),
            (None, None) => self.0.broken("an item has neither a result nor an error"),
        }
    }
}

/// A result, or a part of one.
struct Value<'p>(Limits<'p>);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Reply;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Reply, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Reply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a RESP2 value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Reply, E> {
        self.0.count()?;
        Ok(Reply::Nil)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Reply, E> {
        self.0.count()?;
        Ok(Reply::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Reply, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.0.broken("a number is beyond 64 bits"),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Reply, E> {
        self.0.broken("a number is not an integer of 64 bits")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Reply, E> {
        self.0.broken("a result is a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Reply, E> {
        self.0.count()?;
        // The status `OK` at the top of an item goes unencoded. Within arrays servers differ, and since
        // these two letters are not base64 there is nothing to confuse them with.
        if text == "OK" {
            return Ok(Reply::Status(text.to_owned()));
        }
        match STANDARD.decode(text) {
            Ok(bytes) => Ok(Reply::Bulk(Bytes::from(bytes))),
            Err(_) => self.0.broken("a text is not base64"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Reply, A::Error> {
        self.0.count()?;
        let mut replies = Vec::new();
        while let Some(reply) = items.next_element_seed(Value(self.0))? {
            replies.push(reply);
        }
        Ok(Reply::Array(replies))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Reply, A::Error> {
        self.0.broken("a result is an object")
    }
}

#[cfg(test)]
mod tests;
