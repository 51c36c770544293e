//! Refreshing an access token at the provider that issued it (RFC 6749, section 6).
//!
//! Providers rotate refresh tokens: one that was used is worth nothing any more, and one that is used twice may cost its
//! user everything that was issued with it. So every failure says whether the provider may have used the token up, and
//! only where it cannot have is anything repeated.

mod answer;

pub use answer::{LONGEST_LIFETIME, LONGEST_TOKEN, Refreshed, read_answer};

use crate::base::id;
use crate::base::secret::Secret;
use crate::outbound::{Failure, Outbound, TargetUrl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest pause before a request that was not sent is tried once more.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How a client proves to the provider who it is (RFC 6749, section 2.3.1; the words are those of RFC 7591).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum AuthStyle {
    /// In the header `Authorization: Basic`.
    #[default]
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the form, as `client_id` and `client_secret`.
    #[serde(rename = "client_secret_post")]
    Post,
}

impl AuthStyle {
    /// Its name in the API and in what is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthStyle::Basic => "client_secret_basic",
            AuthStyle::Post => "client_secret_post",
        }
    }
}

/// What the provider knows a tenant by.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// The provider's token endpoint.
    pub token_url: &'a TargetUrl,
    /// The client's id there.
    pub client_id: &'a str,
    /// Its secret; a public client has none, and then sends its id in the form, whatever the style.
    pub client_secret: Option<&'a Secret>,
    /// How the secret is shown.
    pub style: AuthStyle,
    /// What is asked for; as before without any.
    pub scopes: Option<&'a [String]>,
}

/// Why there is no fresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshFailure {
    /// The provider does not accept this refresh token, and never will again.
    #[error("the provider has revoked the refresh token")]
    Revoked,
    /// The provider refuses for another reason: an error code of RFC 6749, section 5.2, or `other`. The refresh token is
    /// as good as before.
    #[error("the provider refused: {0}")]
    Rejected(&'static str),
    /// The provider cannot have used the refresh token up: it was not reached, or is too busy.
    #[error("the provider could not be asked")]
    NotConsumed {
        /// When to come back, where it said so; an hour at most.
        retry_after: Option<Duration>,
    },
    /// The provider may have used the refresh token up, and its answer was lost or could not be read.
    #[error("the provider's answer was lost")]
    Unknown,
    /// The provider's address may not be asked.
    #[error("the provider's address may not be asked")]
    Forbidden,
}

impl From<Failure> for RefreshFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Forbidden => RefreshFailure::Forbidden,
            Failure::NotSent => RefreshFailure::NotConsumed { retry_after: None },
            Failure::Unknown => RefreshFailure::Unknown,
        }
    }
}

/// Exchanges a refresh token for a fresh access token. Takes at most [`longest`].
///
/// # Errors
/// What became of the refresh token, as far as it can be known.
pub async fn refresh(
    outbound: &Outbound,
    client: &Client<'_>,
    refresh_token: &Secret,
) -> Result<Refreshed, RefreshFailure> {
    let scope = client.scopes.filter(|scopes| !scopes.is_empty()).map(|scopes| scopes.join(" "));
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    form.extend(scope.as_deref().map(|scope| ("scope", scope)));
    let basic = match (client.client_secret, client.style) {
        (Some(secret), AuthStyle::Basic) => Some((client.client_id, secret)),
        (Some(secret), AuthStyle::Post) => {
            form.extend([("client_id", client.client_id), ("client_secret", secret.expose())]);
            None
        }
        (None, _) => {
            form.push(("client_id", client.client_id));
            None
        }
    };
    let send = || outbound.post_form(client.token_url, basic, &form);
    let mut received = send().await;
    if matches!(received, Err(Failure::NotSent)) {
        tokio::time::sleep(id::random_part(LONGEST_PAUSE)).await;
        received = send().await;
    }
    let received = received?;
    read_answer(received.status, &received.body, received.retry_after)
}

/// The longest that [`refresh`] can take: nobody else should try for so long.
pub fn longest(outbound: &Outbound) -> Duration {
    outbound.connect_timeout() + LONGEST_PAUSE + outbound.settings().timeout
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What a refresh comes to where names lead there, and how often one was looked up.
    async fn refresh_where(names_lead: fn() -> io::Result<Vec<SocketAddr>>) -> (Option<RefreshFailure>, u32) {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let lookups = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lookups);
        let outbound = Outbound::with_names(Default::default(), move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            names_lead()
        });
        let url = TargetUrl::parse("https://provider.example/token", outbound.settings()).unwrap();
        let client =
            Client { token_url: &url, client_id: "c", client_secret: None, style: AuthStyle::Basic, scopes: None };
        let outcome = refresh(&outbound, &client, &Secret::new("r".into())).await;
        (outcome.err(), lookups.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_can_be_reached_it_is_tried_once_more_and_no_oftener() {
        let (failure, lookups) = refresh_where(|| Err(io::Error::other("no such name"))).await;
        assert_eq!((failure, lookups), (Some(RefreshFailure::NotConsumed { retry_after: None }), 2));
    }

    #[tokio::test]
    async fn what_is_forbidden_is_not_tried_again() {
        let (failure, lookups) = refresh_where(|| Ok(vec![([169, 254, 169, 254], 0).into()])).await;
        assert_eq!((failure, lookups), (Some(RefreshFailure::Forbidden), 1));
    }

    #[test]
    fn the_longest_refresh_connects_twice_and_waits_once() {
        assert_eq!(longest(&Outbound::new(Default::default())), Duration::from_millis(15_250));
    }

    #[test]
    fn a_style_has_one_word_in_code_and_in_json() {
        for style in [AuthStyle::Basic, AuthStyle::Post] {
            assert_eq!(serde_json::to_string(&style).unwrap(), format!("{:?}", style.as_str()));
        }
        assert_eq!(serde_json::from_str::<AuthStyle>(r#""client_secret_post""#).unwrap(), AuthStyle::Post);
    }
}
