//! `sem_ver`: comparisons of versions by semver.org, with flagd's leniency: a `v` in front, and no minor or patch number.

use super::{Answer, Call};
use crate::stores::flags::rules::meter::spend_bytes;
use datalogic_rs::{ArenaExt, DataValue, Result};
use semver::Version;
use std::borrow::Cow;

/// What stands between two versions.
pub(in crate::stores::flags::rules) const RELATIONS: &[&str] = &["=", "!=", "<", "<=", ">", ">=", "^", "~"];

/// Whether the relation holds. Build metadata does not count. With something that is no version it does not hold,
/// whatever it is, `!=` included.
pub(super) fn compare<'a>(call: Call<'_, 'a>) -> Answer<'a> {
    let (left, right) = (version_of(call.argument(0))?, version_of(call.argument(2))?);
    let holds = match (left, call.argument(1), right) {
        (Some(left), DataValue::String(relation), Some(right)) => holds(&left, relation, &right),
        _ => false,
    };
    Ok(call.arena.bool(holds))
}

fn holds(left: &Version, relation: &str, right: &Version) -> bool {
    let order = left.cmp_precedence(right);
    match relation {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "^" => left.major == right.major,
        "~" => (left.major, left.minor) == (right.major, right.minor),
        _ => false,
    }
}

fn version_of(value: &DataValue<'_>) -> Result<Option<Version>> {
    let DataValue::String(text) = value else { return Ok(None) };
    spend_bytes(text.len().saturating_mul(4))?;
    Ok(parse(text))
}

/// Reads a version.
pub(in crate::stores::flags::rules) fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let whole = match text.bytes().filter(|byte| *byte == b'.').count() {
        // A version without all three numbers has nothing behind them either.
        0 if text.bytes().all(|byte| byte.is_ascii_digit()) => Cow::Owned(format!("{text}.0.0")),
        1 if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => Cow::Owned(format!("{text}.0")),
        _ => Cow::Borrowed(text),
    };
    Version::parse(&whole).ok()
}
