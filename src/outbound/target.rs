//! The address of a server that a tenant named, checked before anything is stored or sent.

use super::address;
use super::resolver::Permitted;
use super::settings::OutboundSettings;
use reqwest::Url;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most characters of a URL, as it was written and as it is kept.
const LONGEST: usize = 2048;

const MUST_BE_PUBLIC: &str = "must not lead to an address that is not public";

/// The URL of an endpoint that may be asked as far as its text tells: what its name resolves to is judged for each
/// connection. `https`, or `http` to this machine where that is allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

impl TargetUrl {
    /// Checks a URL. An address in it is judged in whichever way it is spelled (`127.1`, `0x7f000001`, `[::ffff:7f00:1]`).
    ///
    /// # Errors
    /// What it must be; never what it was.
    pub fn parse(text: &str, settings: &OutboundSettings) -> Result<TargetUrl, &'static str> {
        if text.chars().take(LONGEST + 1).count() > LONGEST {
            return Err("must be at most 2048 characters");
        }
        // The parser would take some of them out without a word.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("must not have white space or control characters");
        }
        let url = Url::parse(text).map_err(|_| "must be a URL")?;
        if !matches!(url.scheme(), "https" | "http") {
            Err("must start with https://")
        } else if url.host_str().is_none_or(str::is_empty) {
            Err("must have a host")
        } else if !url.username().is_empty() || url.password().is_some() {
            Err("must not hold credentials")
        } else if url.fragment().is_some() {
            Err("must not have a fragment")
        } else if url.as_str().len() > LONGEST {
            Err("must be at most 2048 characters")
        } else {
            let target = TargetUrl(url);
            target.check(settings).map(|()| target)
        }
    }

    /// The URL in its normal form: to store it, to show it to its tenant, and for [`TargetUrl::parse`] again.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is asked over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Judges scheme and host. An address in a URL is never asked of a resolver, so this is the only look at it.
    pub(super) fn check(&self, settings: &OutboundSettings) -> Result<(), &'static str> {
        let permitted = Permitted::over(self.is_https(), settings);
        let (permits, is_loopback) = match self.host() {
            Host::Address(address) => (permitted.permits(address), address::is_loopback(address)),
            // A resolver may say either, so it is refused only where neither would pass.
            Host::Loopback => (LOOPBACK.iter().any(|address| permitted.permits(*address)), true),
            Host::Name => (true, false),
        };
        let is_development = settings.http_to_loopback && is_loopback;
        if !self.is_https() && !is_development {
            Err("must start with https://")
        } else if !permits {
            Err(MUST_BE_PUBLIC)
        } else {
            Ok(())
        }
    }

    fn host(&self) -> Host {
        let host = self.0.host_str().unwrap_or_default();
        let bracketed = || host.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
        if let Some(address) = host.parse().ok().or_else(bracketed) {
            return Host::Address(address);
        }
        // RFC 6761, section 6.3. The parser has put the name into lower case.
        let name = host.strip_suffix('.').unwrap_or(host);
        if name == "localhost" || name.ends_with(".localhost") { Host::Loopback } else { Host::Name }
    }
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

enum Host {
    Address(IpAddr),
    Loopback,
    Name,
}

/// Shows the scheme alone: a path or a query may hold what is nobody else's business.
impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({})", self.0.scheme())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::PrivateAddresses;

    fn parse(text: &str) -> Result<TargetUrl, &'static str> {
        TargetUrl::parse(text, &OutboundSettings::default())
    }

    fn developing() -> OutboundSettings {
        OutboundSettings { http_to_loopback: true, ..OutboundSettings::default() }
    }

    #[test]
    fn an_https_url_to_a_name_or_a_public_address_is_one() {
        for (text, kept) in [
            ("https://accounts.example.com/token", "https://accounts.example.com/token"),
            ("HTTPS://Accounts.Example.COM:8443/a%2Fb?tenant=x", "https://accounts.example.com:8443/a%2Fb?tenant=x"),
            ("https://bücher.example", "https://xn--bcher-kva.example/"),
            ("https://8.8.8.8/token", "https://8.8.8.8/token"),
            ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
            ("https://localhost.example.com/", "https://localhost.example.com/"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.as_str(), kept);
            assert_eq!(parse(url.as_str()), Ok(url), "what is kept is read again");
        }
    }

    #[test]
    fn what_is_no_such_url_is_told_what_it_must_be() {
        let long = format!("https://h/{}", "canary".repeat(400));
        let grows = format!("https://h/{}", "é".repeat(1000));
        for (text, must) in [
            ("", "must be a URL"),
            ("canary", "must be a URL"),
            ("//canary/token", "must be a URL"),
            ("https://", "must be a URL"),
            ("https://canary:99999/", "must be a URL"),
            ("https://can%00ary/", "must be a URL"),
            ("https://[::1canary]/", "must be a URL"),
            ("http://canary.example/", "must start with https://"),
            ("http://localhost/canary", "must start with https://"),
            ("ftp://canary.example/", "must start with https://"),
            ("file:///etc/canary", "must start with https://"),
            ("data:text/plain,canary", "must start with https://"),
            ("javascript:canary", "must start with https://"),
            ("https://canary@example.com/", "must not hold credentials"),
            ("https://:canary@example.com/", "must not hold credentials"),
            ("https://example.com/#canary", "must not have a fragment"),
            ("https://example.com/#", "must not have a fragment"),
            (" https://canary.example", "must not have white space or control characters"),
            ("https://can\nary.example", "must not have white space or control characters"),
            ("https://canary.example/\0", "must not have white space or control characters"),
            ("https://canary.example/\u{85}", "must not have white space or control characters"),
            (&long, "must be at most 2048 characters"),
            (&grows, "must be at most 2048 characters"),
        ] {
            assert_eq!(parse(text), Err(must), "{text}");
        }
    }

    /// Ways to write addresses of this machine and of its surroundings.
    const INSIDE: &[&str] = &[
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.b.localhost",
        "loc%61lhost",
        "0",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "0x0a.0.0.1",
        "192.168.1.1",
        "3232235777",
        "172.16.0.1",
        "169.254.169.254",
        "2852039166",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
    ];

    #[test]
    fn an_address_that_is_not_public_is_refused_in_every_spelling() {
        for host in INSIDE {
            assert_eq!(parse(&format!("https://{host}/canary")), Err(MUST_BE_PUBLIC), "{host}");
            assert_eq!(parse(&format!("https://{host}:8443/canary")), Err(MUST_BE_PUBLIC), "{host}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone_and_only_where_that_is_allowed() {
        for host in ["localhost", "a.localhost:8080", "127.0.0.1:1", "127.1", "[::1]:80", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}/token");
            assert!(TargetUrl::parse(&url, &developing()).is_ok(), "{host}");
            assert_eq!(parse(&url), Err("must start with https://"), "{host}");
        }
        for host in
            ["example.com", "10.0.0.1", "0.0.0.0", "8.8.8.8", "[::]", "localhost.example.com", "127.0.0.1.nip.io"]
        {
            let url = format!("http://{host}/token");
            assert_eq!(TargetUrl::parse(&url, &developing()), Err("must start with https://"), "{host}");
        }
        // The switch is about plain HTTP: over TLS it lets nothing more through.
        assert_eq!(TargetUrl::parse("https://localhost/", &developing()), Err(MUST_BE_PUBLIC));
    }

    #[test]
    fn an_address_that_is_allowed_by_name_passes() {
        let private = PrivateAddresses::parse("10.1.0.0/16,::1").unwrap();
        let settings = OutboundSettings { private, ..OutboundSettings::default() };
        for url in ["https://10.1.2.3/", "https://[::ffff:10.1.2.3]/", "https://[::1]/", "https://localhost/"] {
            assert!(TargetUrl::parse(url, &settings).is_ok(), "{url}");
        }
        for url in ["https://10.2.2.3/", "https://127.0.0.1/", "https://169.254.169.254/"] {
            assert_eq!(TargetUrl::parse(url, &settings), Err(MUST_BE_PUBLIC), "{url}");
        }
        assert_eq!(TargetUrl::parse("http://10.1.2.3/", &settings), Err("must start with https://"));
    }

    #[test]
    fn a_url_is_not_shown() {
        let shown = format!("{:?}", parse("https://canary.example/canary?canary").unwrap());
        assert_eq!(shown, "TargetUrl(https)");
    }
}
