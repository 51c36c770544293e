//! From redis-rs values to replies. RESP2 is spoken, so the RESP3 shapes are folded into RESP2's.

use crate::db::error::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;
use redis::Value;

/// The reply, taking values over without copying them.
pub(super) fn into_reply(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::BulkString(bytes) => Reply::Bulk(Bytes::from(bytes)),
        Value::Array(items) | Value::Set(items) => Reply::Array(items.into_iter().map(into_reply).collect()),
        Value::SimpleString(text) => Reply::Status(text),
        Value::Okay => Reply::Status("OK".to_owned()),
        Value::ServerError(error) => Reply::Refused(refusal(&error)),
        Value::Map(pairs) => {
            Reply::Array(pairs.into_iter().flat_map(|(k, v)| [into_reply(k), into_reply(v)]).collect())
        }
        Value::Attribute { data, .. } => into_reply(*data),
        Value::Boolean(truth) => Reply::Int(i64::from(truth)),
        Value::Double(number) => Reply::Bulk(Bytes::from(number.to_string())),
        Value::VerbatimString { text, .. } => Reply::Bulk(Bytes::from(text)),
        Value::BigNumber(digits) => Reply::Bulk(Bytes::from(digits)),
        // Never sent over RESP2; named so that it surfaces rather than passing for a value.
        _ => Reply::Refused(Refusal::from_line("ERR unexpected RESP3 value")),
    }
}

/// redis-rs takes an error line apart; put together it is the line as Redis wrote it.
fn refusal(error: &redis::ServerError) -> Refusal {
    match error.details() {
        Some(details) => Refusal::from_line(&format!("{} {details}", error.code())),
        None => Refusal::from_line(error.code()),
    }
}

/// Whether the value is a refusal with this code.
pub(super) fn is_refusal(value: &Value, code: &str) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == code)
}
