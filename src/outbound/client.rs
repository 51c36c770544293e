//! The HTTP client: every connection goes to an address that was judged, and every answer is bounded.

use super::address::is_loopback;
use super::settings::OutboundSettings;
use super::target::TargetUrl;
use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use zeroize::Zeroizing;

/// The largest answer.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The longest that connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(4);
/// The longest wait that a server may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// An answer, whatever its status.
pub struct Received {
    /// Its status.
    pub status: u16,
    /// Its body, at most 64 KiB; zeroed when it is dropped.
    pub body: Zeroizing<Vec<u8>>,
    /// When the server wants to be asked again, if it says so in seconds.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer, and how far the request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name leads to an address that may not be reached; nothing was sent.
    #[error("the server's address may not be reached")]
    Forbidden,
    /// Nothing was sent: there is no such name, nobody listens there, or TLS failed.
    #[error("the server cannot be reached")]
    NotSent,
    /// It was sent, or may have been, and there is no whole answer.
    #[error("the server did not answer")]
    Unknown,
}

/// Sends requests. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Outbound {
    settings: OutboundSettings,
    clients: Arc<Clients>,
}

/// Built when they are needed: that the system has no certificates is an outcome then, not a reason not to start.
#[derive(Default)]
struct Clients {
    plain: OnceLock<Option<Client>>,
    encrypted: OnceLock<Option<Client>>,
}

/// Which addresses a client may connect to.
#[derive(Clone)]
enum Judge {
    /// This machine alone.
    Loopback,
    /// What the settings allow.
    Settings(OutboundSettings),
}

impl Judge {
    fn allows(&self, address: SocketAddr) -> bool {
        match self {
            Judge::Loopback => is_loopback(address.ip()),
            Judge::Settings(settings) => settings.allowed.allows(address.ip()),
        }
    }
}

/// The name leads to no address that may be reached. Told from a name that leads nowhere by its type.
#[derive(Debug, thiserror::Error)]
#[error("no address that may be reached")]
struct NoneAllowed;

/// What is connected to is what was judged here: the name is not resolved again.
impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let judge = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One that may not be reached spoils all: who controls the name decides which of them is taken.
            if found.is_empty() || !found.iter().all(|address| judge.allows(*address)) {
                return Err(NoneAllowed.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Outbound {
    /// Connects to nothing yet; needs a TLS provider installed in the process.
    pub fn new(settings: OutboundSettings) -> Outbound {
        Outbound { settings, clients: Arc::default() }
    }

    /// What may be reached.
    pub fn settings(&self) -> &OutboundSettings {
        &self.settings
    }

    /// Posts a form (`application/x-www-form-urlencoded`), with Basic credentials where `basic` has them (RFC 6749, section
    /// 2.3.1: both are form-encoded first).
    ///
    /// # Errors
    /// How far it got. A status is an answer, whichever it is.
    pub async fn post_form(
        &self,
        url: &TargetUrl,
        basic: Option<(&str, &Secret)>,
        form: &[(&str, &str)],
    ) -> Result<Received, Failure> {
        let client = self.client(url.is_plain()).ok_or(Failure::NotSent)?;
        let mut body = Zeroizing::new(String::with_capacity(4096));
        for (name, value) in form {
            if !body.is_empty() {
                body.push('&');
            }
            encode(name, &mut body);
            body.push('=');
            encode(value, &mut body);
        }
        let mut request = client
            .post(url.url().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(body.as_bytes().to_vec());
        if let Some((id, secret)) = basic {
            let mut both = Zeroizing::new(String::with_capacity(1024));
            encode(id, &mut both);
            both.push(':');
            encode(secret.expose(), &mut both);
            let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
            let mut value = HeaderValue::try_from(text.as_str()).map_err(|_| Failure::NotSent)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        receive(request.send().await.map_err(|error| failure(&error))?).await
    }

    fn client(&self, is_plain: bool) -> Option<&Client> {
        // reqwest panics without one.
        rustls::crypto::CryptoProvider::get_default()?;
        if is_plain {
            let build = || self.builder(Judge::Loopback).tls_certs_only([]).build().ok();
            return self.clients.plain.get_or_init(build).as_ref();
        }
        let build = || {
            let mut builder = self.builder(Judge::Settings(self.settings.clone())).https_only(true);
            if let Some(pem) = &self.settings.ca_pem {
                builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem).ok()?);
            }
            builder.build().ok()
        };
        let built = self.clients.encrypted.get_or_init(build).as_ref();
        if built.is_none() {
            tracing::error!("OAuth providers cannot be asked: there are no usable CA certificates on this system");
        }
        built
    }

    fn builder(&self, judge: Judge) -> reqwest::ClientBuilder {
        Client::builder()
            .no_proxy()
            .referer(false)
            .http1_only()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(judge))
            .timeout(self.settings.timeout)
            .connect_timeout(CONNECTING.min(self.settings.timeout))
            .pool_idle_timeout(IDLE)
            .retry(reqwest::retry::never())
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3), which every reader of forms decodes.
fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].iter().filter_map(|n| DIGITS.get(usize::from(*n)).copied().map(char::from)),
            );
        }
    }
}

async fn receive(mut response: Response) -> Result<Received, Failure> {
    let status = response.status().as_u16();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Unknown)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Failure::Unknown);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received { status, body, retry_after })
}

/// The client's own error prints the URL, so it is looked at and dropped.
fn failure(error: &reqwest::Error) -> Failure {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<NoneAllowed>() {
            return Failure::Forbidden;
        }
        cause = inner.source();
    }
    if error.is_connect() || error.is_builder() { Failure::NotSent } else { Failure::Unknown }
}
