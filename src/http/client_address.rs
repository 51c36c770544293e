//! Where a request comes from. `X-Forwarded-For` counts only when the peer is a trusted proxy, and then
//! only its last address that is not one: everything before it the client could have written itself.

use super::problem::Problem;
use super::request::{FromRequest, Request};
use actix_web::dev::Payload;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The proxies whose word counts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads a comma-separated list of addresses and CIDR ranges.
    pub fn parse(text: &str) -> Option<TrustedProxies> {
        let network = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(network)
            .collect::<Option<_>>()
            .map(TrustedProxies)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// The last hop that is not trusted. Where a trusted one wrote what is no address, what stands before it could be
    /// anybody's word, and the hop itself is all that is known.
    fn client<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut nearest = peer;
        for hop in forwarded.rev().map(address) {
            match hop {
                Some(hop) if self.trusts(nearest) => nearest = hop,
                _ => break,
            }
        }
        nearest
    }
}

/// An address, with or without a port, as proxies write them.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

/// The address of the client, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(Option<IpAddr>);

impl ClientAddress {
    /// Of this request.
    pub(super) fn of(request: &Request) -> ClientAddress {
        let headers = request.headers().get_all("x-forwarded-for");
        let forwarded: Vec<&str> = headers.flat_map(|value| value.to_str().unwrap_or_default().split(',')).collect();
        let peer = request.head().peer_addr.map(|address| address.ip());
        let proxies = request.provided::<TrustedProxies>();
        let client = |peer| proxies.map_or(peer, |proxies| proxies.client(peer, forwarded.into_iter()));
        ClientAddress(peer.map(client))
    }

    /// The address, where it is known.
    pub(super) fn known(self) -> Option<IpAddr> {
        self.0
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl FromRequest for ClientAddress {
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        Ok(ClientAddress::of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_its_own_peer() {
        let proxies = TrustedProxies::parse("10.0.0.0/8, 127.0.0.1").unwrap();
        let client = |peer: &str, forwarded: &[&str]| proxies.client(ip(peer), forwarded.iter().copied());
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), ip("192.0.2.1"), "a stranger says who it is");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4", "198.51.100.7", "10.0.0.2"]),
            ip("198.51.100.7"),
            "1.2.3.4 is a claim"
        );
        assert_eq!(client("127.0.0.1", &[]), ip("127.0.0.1"));
        assert_eq!(client("127.0.0.1", &["10.0.0.1", "10.0.0.2"]), ip("10.0.0.1"), "all of them are ours");
        for hop in ["198.51.100.7:4711", " 198.51.100.7 "] {
            assert_eq!(client("10.0.0.1", &["1.2.3.4", hop]), ip("198.51.100.7"), "{hop}");
        }
        for hop in ["[2001:db8::1]:4711", "[2001:db8::1]", "2001:db8::1"] {
            assert_eq!(client("10.0.0.1", &["1.2.3.4", hop]), ip("2001:db8::1"), "{hop}");
        }
        for garbage in ["unknown", "", "_hidden", "\u{e9}"] {
            assert_eq!(client("10.0.0.1", &["1.2.3.4", garbage]), ip("10.0.0.1"), "what stands before it is a claim");
            assert_eq!(client("10.0.0.1", &["1.2.3.4", garbage, "10.0.0.2"]), ip("10.0.0.2"), "{garbage}");
        }
        assert!(TrustedProxies::parse("10.0.0.0/33").is_none());
        assert!(TrustedProxies::parse("example").is_none());
    }
}
