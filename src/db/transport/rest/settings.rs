//! Where the REST endpoint is and how it is reached, checked before anything is sent: a token in a URL
//! ends up in access logs, and a client that cannot be built must be said at start, not met as a panic.

use crate::base::secret::Secret;
use crate::base::text::SEGMENT;
use percent_encoding::utf8_percent_encode;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

/// The bound on one answer when nothing else is asked for: what the largest plans let through in a request.
pub const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// How long an unused connection is kept. Below the five seconds after which common servers close theirs:
/// a request that meets a closing connection has an unknown fate.
const IDLE: Duration = Duration::from_secs(4);

/// Why the REST backend cannot be set up. Names no URL and no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The base URL cannot be used; says why.
    #[error("the REST URL {0}")]
    Url(&'static str),
    /// The token is empty or cannot stand in a header.
    #[error("the REST token is empty or has characters that a header cannot carry")]
    Token,
    /// The CA file holds no certificate that can be read.
    #[error("the CA file holds no certificate in PEM form")]
    Certificates,
    /// There is nobody to trust.
    #[error("no trusted certificates were found on this system: install its CA bundle or name a CA file")]
    NoTrust,
    /// The process has not chosen who does its cryptography.
    #[error("no TLS provider is installed in this process")]
    NoProvider,
    /// The HTTP client could not be built for another reason.
    #[error("the HTTP client could not be set up")]
    Client,
}

/// The base URL of a REST endpoint: `http` or `https`, a host, and a path that is kept as a prefix.
#[derive(Clone, PartialEq, Eq)]
pub struct RestUrl(Url);

impl RestUrl {
    /// Checks a base URL; surrounding whitespace and one slash at the end do not matter.
    pub fn parse(text: &str) -> Result<RestUrl, RestError> {
        let url = Url::parse(text.trim()).map_err(|_| RestError::Url("is not a URL"))?;
        let fault = if !matches!(url.scheme(), "http" | "https") {
            "must start with http:// or https://"
        } else if !url.has_host() {
            "has no host"
        } else if !url.username().is_empty() || url.password().is_some() {
            "must not hold credentials"
        } else if url.query().is_some() || url.fragment().is_some() {
            "must not have a query or a fragment"
        } else {
            return Ok(RestUrl(url));
        };
        Err(RestError::Url(fault))
    }

    /// The address of an endpoint below the base.
    pub(super) fn endpoint(&self, name: &str) -> Url {
        let mut url = self.0.clone();
        let prefix = url.path().strip_suffix('/').unwrap_or(url.path());
        let path = format!("{prefix}/{name}");
        url.set_path(&path);
        url
    }

    /// The address at which a channel is heard. The name is one segment of the path, whatever it has in it.
    pub(super) fn subscription(&self, channel: &str) -> Url {
        self.endpoint(&format!("subscribe/{}", utf8_percent_encode(channel, SEGMENT)))
    }

    /// Whether it is Upstash's own service, which understands more than stock Redis does.
    pub(super) fn is_upstash(&self) -> bool {
        self.0.host_str().is_some_and(|host| host.trim_end_matches('.').ends_with(".upstash.io"))
    }

    /// The host and the port, as a connection is made to them.
    pub(super) fn place(&self) -> Option<(&str, u16)> {
        let host = self.0.host_str()?;
        Some((host.trim_start_matches('[').trim_end_matches(']'), self.0.port_or_known_default()?))
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// Shows the scheme alone.
impl fmt::Debug for RestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestUrl({})", self.0.scheme())
    }
}

/// How to reach a REST endpoint.
#[derive(Clone)]
pub struct RestSettings {
    /// Where it is.
    pub url: RestUrl,
    /// What it knows us by; surrounding whitespace is dropped.
    pub token: Secret,
    /// How long making a connection may take; at most three quarters of `command_timeout` are used, so that
    /// "not reached" (safe to repeat) is told from "no answer" (not safe).
    pub connection_timeout: Duration,
    /// How long a batch may take, from its start to the last byte of the answer.
    pub command_timeout: Duration,
    /// How many connections are kept while unused.
    pub max_connections: usize,
    /// Whom to trust in place of the system's roots: certificates in PEM form.
    pub ca_pem: Option<Vec<u8>>,
    /// The most bytes of one answer; [`MAX_REPLY_BYTES`] unless there is a reason.
    pub max_reply_bytes: usize,
}

impl RestSettings {
    /// The one HTTP client, which carries the headers that every request has.
    pub(super) fn client(&self) -> Result<reqwest::Client, RestError> {
        // reqwest panics without one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(RestError::NoProvider);
        }
        let builder = reqwest::Client::builder()
            .default_headers(self.headers()?)
            // A redirect would take the token to a host that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            // Repeating is decided by effect and delivery, one floor up.
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(self.connection_timeout.min(self.command_timeout.mul_f32(0.75)))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(self.max_connections);
        match (&self.ca_pem, self.url.is_https()) {
            (Some(pem), _) => {
                let trusted = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| RestError::Certificates)?;
                if trusted.is_empty() {
                    return Err(RestError::Certificates);
                }
                builder.tls_certs_only(trusted).build().map_err(|_| RestError::Certificates)
            }
            (None, true) => builder.build().map_err(|_| RestError::NoTrust),
            // Without a CA bundle the client cannot be built with the system's roots, not even to use none.
            (None, false) => builder.tls_certs_only([]).build().map_err(|_| RestError::Client),
        }
    }

    fn headers(&self) -> Result<HeaderMap, RestError> {
        let token = self.token.expose().trim();
        if token.is_empty() {
            return Err(RestError::Token);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| RestError::Token)?;
        bearer.set_sensitive(true);
        Ok(HeaderMap::from_iter([
            (AUTHORIZATION, bearer),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("upstash-encoding"), HeaderValue::from_static("base64")),
        ]))
    }
}

impl fmt::Debug for RestSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSettings").field("url", &self.url).field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base: &str) -> String {
        RestUrl::parse(base).unwrap().endpoint("pipeline").to_string()
    }

    #[test]
    fn a_path_prefix_is_kept_and_one_slash_and_whitespace_are_dropped() {
        assert_eq!(endpoint(" https://h\n"), "https://h/pipeline");
        assert_eq!(endpoint("https://h/"), "https://h/pipeline");
        assert_eq!(endpoint("http://h:8079/t/acme/"), "http://h:8079/t/acme/pipeline");
        assert_eq!(endpoint("https://h/a%2Fb"), "https://h/a%2Fb/pipeline");
    }

    #[test]
    fn a_channel_is_one_segment_of_the_path() {
        let url = RestUrl::parse("https://h/t/").unwrap().subscription("a:{_system:00}:b/c,d?e");
        assert_eq!(url.as_str(), "https://h/t/subscribe/a%3A%7B_system%3A00%7D%3Ab%2Fc%2Cd%3Fe");
    }

    #[test]
    fn a_url_that_could_leak_or_mislead_is_refused_without_being_shown() {
        let urls =
            ["", "h", "redis://h", "https://", "https://h?_token=canary", "https://canary:x@h", "https://h#canary"];
        for url in urls {
            let error = RestUrl::parse(url).unwrap_err();
            assert!(matches!(error, RestError::Url(_)), "{url}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{url}");
        }
    }

    #[test]
    fn only_the_service_itself_counts_as_upstash() {
        let is = |url| RestUrl::parse(url).unwrap().is_upstash();
        assert!(is("https://eu1-x.Upstash.io") && is("https://x.upstash.io./"));
        assert!(!is("https://upstash.io.evil.net") && !is("https://xupstash.io") && !is("http://127.0.0.1:8079"));
    }
}
