//! A URL that may be sent to, as far as that can be told before its name is resolved.

use super::address::is_loopback;
use super::settings::OutboundSettings;
use reqwest::Url;
use std::net::IpAddr;

/// The longest URL.
const LONGEST: usize = 2048;

/// Why it is none: what it must be. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotATarget(pub &'static str);

/// A checked URL.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

impl TargetUrl {
    /// Checks a URL: `https`, a host, no credentials, no fragment; an address in it is judged at once.
    pub fn parse(text: &str, settings: &OutboundSettings) -> Result<TargetUrl, NotATarget> {
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotATarget("must be a URL of at most 2048 characters without spaces"));
        }
        let url = Url::parse(text).map_err(|_| NotATarget("must be a URL"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(NotATarget("must have a host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotATarget("must not hold credentials"));
        }
        if url.fragment().is_some() {
            return Err(NotATarget("must not have a fragment"));
        }
        // The url crate has read every spelling of an address by now, so this is the address that is connected to.
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let is_here = address.map_or_else(|| is_loopback_name(host), is_loopback);
        match url.scheme() {
            "https" => {}
            "http" if is_here && settings.http_loopback => return Ok(TargetUrl(url)),
            "http" => return Err(NotATarget("must start with https://")),
            _ => return Err(NotATarget("must start with https://")),
        }
        if address.is_some_and(|address| !settings.allowed.allows(address)) {
            return Err(NotATarget("must not be a private or otherwise special address"));
        }
        Ok(TargetUrl(url))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it goes over plain HTTP, and so to this machine alone.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

/// The names that RFC 6761, section 6.3, sets apart.
fn is_loopback_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// A URL may hold a secret in its query: it is not for logs.
impl std::fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TargetUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::env::Env;
    use proptest::prelude::*;

    fn settings(variables: &[(&str, &str)]) -> OutboundSettings {
        OutboundSettings::read(&mut Env::new(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))))
    }

    #[test]
    fn a_target_is_https_and_public() {
        let strict = settings(&[]);
        for good in [
            "https://example.com/token",
            "https://example.com:8443/t?x=1",
            "https://1.1.1.1/",
            "https://[2606:4700::1]/",
        ] {
            assert!(TargetUrl::parse(good, &strict).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "/token",
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "https://user@example.com/",
            "https://user:pass@example.com/",
            "https://example.com/#x",
            "https://exa mple.com/",
            "https://example.com/\n",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/",
            "https://10.0.0.1/",
            "https://[fd00::1]/",
            "https://[64:ff9b::a00:1]/",
            "http://127.0.0.1/",
            "http://localhost/",
            "javascript:alert(1)",
            &format!("https://example.com/{}", "x".repeat(2048)),
        ] {
            assert!(TargetUrl::parse(bad, &strict).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_only_with_its_switch() {
        let loose = settings(&[("OAUTH_ALLOW_HTTP_LOOPBACK", "true")]);
        for good in [
            "http://127.0.0.1:9000/token",
            "http://localhost/",
            "http://[::1]/",
            "http://a.localhost/",
            "http://localhost./",
        ] {
            assert!(TargetUrl::parse(good, &loose).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "https://127.0.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(TargetUrl::parse(bad, &loose).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_allowed_may_be_reached_over_https() {
        let some = settings(&[("OAUTH_ALLOW_PRIVATE", "10.1.0.0/16")]);
        assert!(TargetUrl::parse("https://10.1.2.3/", &some).is_ok());
        assert!(TargetUrl::parse("https://10.2.2.3/", &some).is_err());
        assert!(TargetUrl::parse("http://10.1.2.3/", &some).is_err(), "not in the clear");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", host in "[0-9a-fx.:\\[\\]]{0,20}") {
            let strict = settings(&[]);
            let _judged: Result<TargetUrl, NotATarget> = TargetUrl::parse(&text, &strict);
            if let Ok(target) = TargetUrl::parse(&format!("https://{host}/"), &strict) {
                prop_assert!(target.url().has_host());
            }
        }
    }
}
