//! Asking a provider for a new access token: RFC 6749, section 6.
//!
//! A provider that rotates refresh tokens takes each once, and takes a second use for theft. So what matters most of a
//! failure is whether the provider may have taken the refresh token: only where it cannot have is anything repeated.

use super::providers::{AuthStyle, NewProvider};
use crate::base::secret::Secret;
use crate::outbound::{Failure, Outbound, Received, TargetUrl};
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// The longest token that is taken, in bytes.
pub(super) const LONGEST_TOKEN: usize = 64 * 1024;
/// The longest life that is believed.
const LONGEST_LIFE: u64 = 10 * 365 * 86_400;
/// The error codes of RFC 6749, section 5.2, but `invalid_grant`.
const KNOWN_ERRORS: &[&str] =
    &["invalid_request", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"];

/// What the provider gave.
pub(super) struct Refreshed {
    pub(super) access_token: Secret,
    /// The next refresh token; where there is none, the one that was used stays good.
    pub(super) refresh_token: Option<Secret>,
    pub(super) token_type: Option<String>,
    pub(super) expires_in: Option<Duration>,
    /// What the access token allows, where that is not what was asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why there is no new token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefreshFailure {
    /// The refresh token is not valid any more (`invalid_grant`).
    Revoked,
    /// The provider refuses the request or this client, with this code of the standard.
    Rejected(&'static str),
    /// The provider cannot have taken the refresh token; it wants to be asked again after this time, if it says so.
    NotTaken(Option<Duration>),
    /// It may have.
    Unknown,
    /// The provider's address may not be reached, or its URL is none any more.
    Forbidden,
}

impl RefreshFailure {
    /// For metrics and logs.
    pub(super) fn word(self) -> &'static str {
        match self {
            RefreshFailure::Revoked => "revoked",
            RefreshFailure::Rejected(_) => "rejected",
            RefreshFailure::NotTaken(_) => "not_reached",
            RefreshFailure::Unknown => "unknown",
            RefreshFailure::Forbidden => "forbidden",
        }
    }
}

/// Asks the provider. What was not sent is sent a second time, and nothing else.
pub(super) async fn refresh(
    outbound: &Outbound,
    provider: &NewProvider,
    refresh_token: &Secret,
) -> Result<Refreshed, RefreshFailure> {
    // The settings may have become stricter since the URL was stored.
    let url = TargetUrl::parse(&provider.token_url, outbound.settings()).map_err(|_| RefreshFailure::Forbidden)?;
    let scope = provider.scopes.join(" ");
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    if !scope.is_empty() {
        form.push(("scope", &scope));
    }
    let basic = match provider.auth_style {
        AuthStyle::ClientSecretBasic => Some((provider.client_id.as_str(), &provider.client_secret)),
        AuthStyle::ClientSecretPost => {
            form.extend([
                ("client_id", provider.client_id.as_str()),
                ("client_secret", provider.client_secret.expose()),
            ]);
            None
        }
    };
    let mut answer = outbound.post_form(&url, basic, &form).await;
    if matches!(answer, Err(Failure::NotSent)) {
        answer = outbound.post_form(&url, basic, &form).await;
    }
    match answer {
        Ok(received) => judge(&received),
        Err(Failure::Forbidden) => Err(RefreshFailure::Forbidden),
        Err(Failure::NotSent) => Err(RefreshFailure::NotTaken(None)),
        Err(Failure::Unknown) => Err(RefreshFailure::Unknown),
    }
}

fn judge(received: &Received) -> Result<Refreshed, RefreshFailure> {
    match received.status {
        200 => parse(&received.body).ok_or(RefreshFailure::Unknown),
        400 | 401 | 403 => Err(error_of(&received.body)),
        429 | 503 => Err(RefreshFailure::NotTaken(received.retry_after)),
        // Also a redirect: where it would have led, nobody knows what was done here.
        _ => Err(RefreshFailure::Unknown),
    }
}

/// Which error it is. The provider's own words go nowhere.
fn error_of(body: &[u8]) -> RefreshFailure {
    #[derive(Deserialize)]
    struct Body {
        error: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) if error == "invalid_grant" => RefreshFailure::Revoked,
        Ok(Body { error }) => {
            RefreshFailure::Rejected(KNOWN_ERRORS.iter().find(|known| **known == error).copied().unwrap_or("other"))
        }
        Err(_) => RefreshFailure::Rejected("other"),
    }
}

#[derive(Deserialize)]
struct Body {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

/// A number of seconds, which some providers write as text.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
        Fraction(f64),
        None(()),
    }
    Ok(match Seconds::deserialize(deserializer)? {
        Seconds::Number(seconds) => Some(seconds),
        Seconds::Text(text) => text.trim().parse().ok(),
        Seconds::Fraction(seconds) if seconds.is_finite() && seconds >= 0.0 => Some(seconds as u64),
        Seconds::Fraction(_) | Seconds::None(()) => None,
    })
}

/// A text that can stand where a secret does.
fn token(text: String) -> Option<Secret> {
    let fits = (1..=LONGEST_TOKEN).contains(&text.len()) && !text.chars().any(char::is_control);
    let secret = Secret::new(text);
    fits.then_some(secret)
}

/// Reads a successful answer (section 5.1); members that are not known are passed over.
fn parse(body: &[u8]) -> Option<Refreshed> {
    let Body { access_token, refresh_token, token_type, expires_in, scope } = serde_json::from_slice(body).ok()?;
    Some(Refreshed {
        access_token: token(access_token)?,
        refresh_token: match refresh_token.filter(|text| !text.is_empty()) {
            Some(text) => Some(token(text)?),
            None => None,
        },
        token_type: token_type.filter(|kind| super::bodies::is_token_type(kind)),
        expires_in: expires_in.map(|seconds| Duration::from_secs(seconds.min(LONGEST_LIFE))),
        scopes: scope.map(|scope| scope.split_ascii_whitespace().map(str::to_owned).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn judged(status: u16, body: &str) -> Result<Refreshed, RefreshFailure> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        judge(&Received { status, body, retry_after: Some(Duration::from_secs(7)) })
    }

    #[test]
    fn a_new_token_is_read_as_providers_write_it() {
        let full = r#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":3600,"scope":"x y","id_token":{}}"#;
        let Ok(read) = judged(200, full) else { panic!("it is one") };
        assert_eq!((read.access_token.expose(), read.refresh_token.as_ref().map(Secret::expose)), ("a", Some("r")));
        assert_eq!(
            (read.expires_in, read.scopes),
            (Some(Duration::from_secs(3600)), Some(vec!["x".into(), "y".into()]))
        );
        for (expires_in, seconds) in
            [("\"3599\"", Some(3599)), ("12.7", Some(12)), ("null", None), ("-5", None), ("\"soon\"", None)]
        {
            let body = format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#);
            let Ok(read) = judged(200, &body) else { panic!("{expires_in}") };
            assert_eq!(read.expires_in, seconds.map(Duration::from_secs), "{expires_in}");
            assert!(read.refresh_token.is_none());
        }
        let Ok(read) = judged(200, r#"{"access_token":"a","refresh_token":"","token_type":"a b"}"#) else { panic!() };
        assert!(read.refresh_token.is_none() && read.token_type.is_none());
    }

    #[test]
    fn an_answer_without_a_token_may_have_taken_the_old_one() {
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(LONGEST_TOKEN + 1));
        let bodies = [
            "",
            "{}",
            "<html>",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a\nb"}"#,
            &long,
        ];
        for body in bodies {
            assert_eq!(judged(200, body).err(), Some(RefreshFailure::Unknown), "{body}");
        }
        for status in [204, 302, 307, 404, 500, 502, 504] {
            assert_eq!(judged(status, "{}").err(), Some(RefreshFailure::Unknown), "{status}");
        }
    }

    #[test]
    fn refusals_are_told_by_their_code_and_in_no_words_of_the_provider() {
        for (status, body, failure) in [
            (400, r#"{"error":"invalid_grant","error_description":"canary"}"#, RefreshFailure::Revoked),
            (401, r#"{"error":"invalid_grant"}"#, RefreshFailure::Revoked),
            (401, r#"{"error":"invalid_client"}"#, RefreshFailure::Rejected("invalid_client")),
            (400, r#"{"error":"canary"}"#, RefreshFailure::Rejected("other")),
            (400, "canary", RefreshFailure::Rejected("other")),
            (429, "", RefreshFailure::NotTaken(Some(Duration::from_secs(7)))),
            (503, "", RefreshFailure::NotTaken(Some(Duration::from_secs(7)))),
        ] {
            let found = judged(status, body).err();
            assert_eq!(found, Some(failure), "{status} {body}");
            assert!(!format!("{found:?}").contains("canary"));
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(parse(&body).is_none());
        }
    }
}
