//! The client: one form, one answer, on a connection of its own.

use super::failure::Failure;
use super::form;
use super::resolver::{self, Lookup, Names, Permitted};
use super::settings::OutboundSettings;
use super::target::TargetUrl;
use crate::base::duration;
use crate::base::secret::Secret;
use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;
use zeroize::Zeroizing;

/// The most bytes of an answer.
pub const LONGEST_ANSWER: usize = 64 * 1024;

/// The longest that connecting may take, the lookup of the name and TLS included.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// The longest wait that a provider may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Asks servers that tenants name. Share one: it bounds how many names are looked up at a time.
pub struct Outbound {
    settings: OutboundSettings,
    names: Names,
    https: OnceLock<Client>,
    http: OnceLock<Client>,
}

/// An answer, whatever it says.
pub struct Received {
    /// The status.
    pub status: u16,
    /// The body. Empty where the status says everything (a redirect, 429 and 5xx), which would otherwise be lost to a
    /// body that does not end.
    pub body: Zeroizing<Vec<u8>>,
    /// When to come back, where the server said so in seconds; an hour at most.
    pub retry_after: Option<Duration>,
}

impl Outbound {
    /// Connects to nothing yet, and looks for no certificates before the first request.
    pub fn new(settings: OutboundSettings) -> Outbound {
        Outbound::over(settings, resolver::system())
    }

    /// One for which names lead where a test says.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_names(
        settings: OutboundSettings,
        lookup: impl Fn(&str) -> std::io::Result<Vec<std::net::SocketAddr>> + Send + Sync + 'static,
    ) -> Outbound {
        Outbound::over(settings, std::sync::Arc::new(lookup))
    }

    fn over(settings: OutboundSettings, lookup: Lookup) -> Outbound {
        Outbound { settings, names: Names::new(lookup), https: OnceLock::new(), http: OnceLock::new() }
    }

    /// What holds for its requests; for [`TargetUrl::parse`].
    pub fn settings(&self) -> &OutboundSettings {
        &self.settings
    }

    /// The longest that connecting may take. A quarter of the time at least is left for the answer, so that "not sent" is
    /// told from "no answer".
    pub fn connect_timeout(&self) -> Duration {
        LONGEST_CONNECT.min(self.settings.timeout.saturating_mul(3) / 4)
    }

    /// Posts a form, with `basic` credentials (a name and a secret) where they are given, and reads the answer: any
    /// status is one. Takes at most [`OutboundSettings::timeout`], and never sends twice.
    ///
    /// # Errors
    /// How far it got; no URL, no body, and nothing that a library said.
    pub async fn post_form(
        &self,
        url: &TargetUrl,
        basic: Option<(&str, &Secret)>,
        form: &[(&str, &str)],
    ) -> Result<Received, Failure> {
        // It may have been checked when other settings held.
        url.check(&self.settings).map_err(|_| Failure::Forbidden)?;
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        if let Some((user, password)) = basic {
            headers.insert(AUTHORIZATION, form::basic(user, password).ok_or(Failure::NotSent)?);
        }
        let request = self.client(url)?.post(url.url().clone()).headers(headers);
        let response = request.body(Bytes::from_owner(form::encoded(form))).send().await?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let says_everything =
            status.is_redirection() || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let body = if says_everything { Zeroizing::default() } else { read(response).await? };
        Ok(Received { status: status.as_u16(), body, retry_after })
    }

    /// The client for a URL, made when it is needed first: the one for TLS cannot be made without anybody to trust, and
    /// a server that asks no provider needs nobody.
    fn client(&self, url: &TargetUrl) -> Result<&Client, Failure> {
        let place = if url.is_https() { &self.https } else { &self.http };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let made = self.make(url.is_https()).ok_or_else(|| {
            tracing::warn!("providers cannot be asked: install the system's CA bundle or set OAUTH_CA_FILE");
            Failure::NotSent
        })?;
        Ok(place.get_or_init(|| made))
    }

    fn make(&self, is_https: bool) -> Option<Client> {
        // reqwest panics without one.
        rustls::crypto::CryptoProvider::get_default()?;
        let builder = Client::builder()
            .dns_resolver(self.names.resolver(Permitted::over(is_https, &self.settings)))
            // A redirect would take secrets to a server that nobody named.
            .redirect(reqwest::redirect::Policy::none())
            // Whoever sends a refresh token decides whether it may go twice.
            .retry(reqwest::retry::never())
            // No connection is used twice. An answer over HTTP/1.1 belongs to a request by its place alone, and what a
            // server says too much would be another user's tokens; nor does a request meet a connection that is closing.
            .pool_max_idle_per_host(0)
            .http1_only()
            .no_proxy()
            .referer(false)
            // As no answer is unpacked, none is larger than what was read.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(self.connect_timeout())
            .timeout(self.settings.timeout);
        let builder = match (&self.settings.ca_pem, is_https) {
            // Plain HTTP needs nobody to trust, and a system without a CA bundle has nobody.
            (_, false) => builder.tls_certs_only([]),
            (None, true) => builder,
            (Some(pem), true) => builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).ok()?),
        };
        builder.build().ok()
    }
}

/// The body of an answer, up to the bound.
async fn read(mut response: Response) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let announced = response.content_length().unwrap_or(0);
    if announced > LONGEST_ANSWER as u64 {
        return Err(Failure::Unknown);
    }
    // Room for all of it at once: a body that moves while it grows leaves secrets behind.
    let mut body = Zeroizing::new(Vec::with_capacity(LONGEST_ANSWER));
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(Failure::Unknown);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A date (RFC 9110, section 10.2.3) is passed over: it is right only where two clocks agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    duration::whole_seconds(text.trim()).map(|wait| wait.min(LONGEST_RETRY_AFTER))
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Shows no body.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("status", &self.status).finish_non_exhaustive()
    }
}
