//! What a token endpoint answered (RFC 6749, sections 5.1 and 5.2). Strict in what a token is, for it is stored and used;
//! lenient in what providers do differently and nothing depends on, for the refresh token that was sent may be used up
//! and this answer all that there is.

use super::RefreshFailure;
use crate::base::duration;
use crate::base::object::Object;
use crate::base::secret::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// The most bytes of a token.
pub const LONGEST_TOKEN: usize = 64 * 1024;

/// The longest lifetime that is believed; a longer one is cut to it.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The most bytes of a token's type and of a scope.
const LONGEST_WORD: usize = 256;

/// The error codes of section 5.2, but for `invalid_grant`.
const CODES: &[&str] =
    &["invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];

/// What says that a refresh token is worth nothing any more: the code of section 5.2, and what GitHub and Slack say in
/// its place, with status 200.
const REVOKED: &[&str] = &["invalid_grant", "bad_refresh_token", "invalid_refresh_token"];

/// A fresh access token.
#[derive(Clone)]
pub struct Refreshed {
    /// The token: not empty, at most [`LONGEST_TOKEN`].
    pub access_token: Secret,
    /// The refresh token from now on; without one the old stays good.
    pub refresh_token: Option<Secret>,
    /// How the token is shown, `Bearer` as a rule.
    pub token_type: Option<String>,
    /// How long it lives from the answer on, at most [`LONGEST_LIFETIME`]; nobody knows without one.
    pub expires_in: Option<Duration>,
    /// What it opens; as was asked for without any.
    pub scopes: Option<Vec<String>>,
}

/// Shows nothing that the provider said.
impl fmt::Debug for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rotated = self.refresh_token.is_some();
        f.debug_struct("Refreshed")
            .field("rotated", &rotated)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// The members that are known; others are passed over.
#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<Secret>,
    #[serde(default)]
    token_type: Value,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    error: Value,
}

/// Text at once in memory that is zeroed; one that is empty or null is none.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.map(Secret::new);
    match text {
        Some(text) if text.expose().len() > LONGEST_TOKEN => Err(serde::de::Error::custom("too long")),
        text => Ok(text.filter(|text| !text.expose().is_empty())),
    }
}

/// Reads an answer to a refresh; `retry_after` is what its header said.
///
/// # Errors
/// What became of the refresh token. Nothing of the answer's text is in it.
pub fn read_answer(status: u16, body: &[u8], retry_after: Option<Duration>) -> Result<Refreshed, RefreshFailure> {
    // serde's errors quote what they stumble over.
    let members = || serde_json::from_slice::<Object<Members>>(body).ok().map(|object| object.0);
    match status {
        200..=299 => {
            let members = members().ok_or(RefreshFailure::Unknown)?;
            match (&members.access_token, members.error.as_str()) {
                (None, Some(code)) => Err(refused(code)),
                _ => refreshed(members).ok_or(RefreshFailure::Unknown),
            }
        }
        400 | 401 => {
            let members = members().ok_or(RefreshFailure::Rejected(OTHER))?;
            Err(refused(members.error.as_str().unwrap_or_default()))
        }
        429 | 503 => Err(RefreshFailure::NotConsumed { retry_after }),
        // What a gateway says when its time is up tells nothing of the provider behind it; nor does a failure.
        408 | 500.. => Err(RefreshFailure::Unknown),
        _ => Err(RefreshFailure::Rejected(OTHER)),
    }
}

/// A refusal that says nothing known.
const OTHER: &str = "other";

fn refused(code: &str) -> RefreshFailure {
    if REVOKED.contains(&code) {
        return RefreshFailure::Revoked;
    }
    RefreshFailure::Rejected(CODES.iter().find(|known| **known == code).copied().unwrap_or(OTHER))
}

/// A fresh token, where the answer has one and what it says of its life can be understood.
fn refreshed(members: Members) -> Option<Refreshed> {
    Some(Refreshed {
        access_token: members.access_token?,
        refresh_token: members.refresh_token,
        token_type: members.token_type.as_str().filter(|text| is_word(text)).map(str::to_owned),
        expires_in: lifetime(&members.expires_in)?,
        scopes: scopes(&members.scope),
    })
}

/// Whole seconds, as a number or as digits in text. The outer nothing is for what is neither, null aside: to take it for
/// "nobody knows" would keep a token in use for ever.
fn lifetime(value: &Value) -> Option<Option<Duration>> {
    let lifetime = match value {
        Value::Null => return Some(None),
        Value::String(text) => duration::whole_seconds(text)?,
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(seconds), _) => Duration::from_secs(seconds),
            (None, Some(seconds)) if seconds >= 0.0 && seconds.fract() == 0.0 => {
                // More than fits is more than is believed.
                Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME)
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(Some(lifetime.min(LONGEST_LIFETIME)))
}

/// Scopes between spaces, or a list of them, as some providers send; nothing where there are none that can be read.
fn scopes(value: &Value) -> Option<Vec<String>> {
    let words: Vec<&str> = match value {
        Value::String(text) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let fits = !words.is_empty() && words.iter().all(|word| is_word(word));
    fits.then(|| words.into_iter().map(str::to_owned).collect())
}

fn is_word(text: &str) -> bool {
    (1..=LONGEST_WORD).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
