//! Replies as Lua values and back, by Redis's rules: nothing is `false`, a status or an error is a table with
//! one field, a number loses its fraction, a table ends at its first `nil`.

use super::number;
use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;
use mlua::{Lua, Table, Value};

/// How deep a script's answer may be nested.
const DEPTH: usize = 100;

/// An argument of `redis.call`, which must be a string or a number.
pub(super) fn argument(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(number) => Some(Bytes::from(number::written(*number as f64))),
        Value::Number(number) => Some(Bytes::from(number::written(*number))),
        _ => None,
    }
}

/// What an error value says, if it says anything.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Error(error) => Some(error.to_string()),
        other => argument(other).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// A reply, for a script.
pub(super) fn to_lua(lua: &Lua, reply: &Reply) -> mlua::Result<Value> {
    let field = |name: &str, text: &str| lua.create_table_from([(name, text)]).map(Value::Table);
    Ok(match reply {
        Reply::Nil => Value::Boolean(false),
        Reply::Int(number) => Value::Number(*number as f64),
        Reply::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Status(text) => field("ok", text)?,
        Reply::Refused(refusal) => field("err", &refusal.line())?,
        Reply::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
    })
}

/// What a script returned, as a reply.
pub(super) fn from_lua(value: Value) -> mlua::Result<Reply> {
    nested(value, DEPTH)
}

fn nested(value: Value, depth: usize) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(number) => Reply::Int(number),
        Value::Number(number) => Reply::Int(truncated(number)),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) => {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(mlua::Error::runtime("reached lua stack limit"));
            };
            if let Some(line) = field(&table, "err")? {
                return Ok(Reply::Refused(Refusal::from_line(&one_line(line.trim_end_matches(['\r', '\n'])))));
            }
            if let Some(text) = field(&table, "ok")? {
                return Ok(Reply::Status(one_line(&text)));
            }
            let mut items = Vec::with_capacity(table.raw_len());
            for item in table.sequence_values::<Value>() {
                items.push(nested(item?, depth)?);
            }
            Reply::Array(items)
        }
        _ => Reply::Nil,
    })
}

fn field(table: &Table, name: &str) -> mlua::Result<Option<String>> {
    match table.raw_get::<Value>(name)? {
        // As far as a C string goes.
        Value::String(text) => {
            let bytes = text.as_bytes();
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(text).into_owned()))
        }
        _ => Ok(None),
    }
}

/// A status and an error are one line each.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// The whole part of a number; what fits in no integer is the least one, as C has it on the machines Redis runs on.
fn truncated(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}
