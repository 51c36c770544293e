//! Which addresses are anybody's to reach: those that the IANA special-purpose registries (RFC 6890) do not set apart.
//! An IPv6 address that carries an IPv4 one is judged by that one, too.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

const SPECIAL_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 31, 196, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// Beside what lies outside of 2000::/3, of which nothing is global unicast yet.
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);

/// Whose special addresses may be reached all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Nobody's.
    #[default]
    Public,
    /// Those in these networks.
    Networks(Vec<IpNet>),
    /// All.
    Everything,
}

impl Allowed {
    /// `true`, `false`, or a comma-separated list of addresses and CIDR ranges.
    pub fn parse(text: &str) -> Option<Allowed> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => return Some(Allowed::Everything),
            "false" | "0" | "no" | "off" => return Some(Allowed::Public),
            _ => {}
        }
        let network = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Option<_>>().map(Allowed::Networks)
    }

    /// Whether this address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        match self {
            Allowed::Everything => true,
            Allowed::Networks(networks) => {
                is_public(address) || networks.iter().any(|network| network.contains(&address.to_canonical()))
            }
            Allowed::Public => is_public(address),
        }
    }
}

/// Whether it is anybody's to reach.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match carried(address) {
            Some(inner) => is_public_v4(inner),
            None => GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address)),
        },
    }
}

/// Whether it is this machine itself.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(&address))
}

/// The IPv4 address to which a packet for this one ends up.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., g, h] = address.segments();
    let [_, b, c, ..] = address.segments();
    let at = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    if MAPPED.contains(&address) || COMPATIBLE.contains(&address) || NAT64.contains(&address) {
        Some(at(g, h))
    } else if SIX_TO_FOUR.contains(&address) {
        Some(at(b, c))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_set_apart_is_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!is_public(ip(text)), "{text}");
            assert!(!Allowed::Public.allows(ip(text)) && Allowed::Everything.allows(ip(text)), "{text}");
        }
    }

    #[test]
    fn what_is_not_is() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2a00::1",
        ] {
            assert!(is_public(ip(text)), "{text}");
            assert!(Allowed::Public.allows(ip(text)), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_a_list_all_or_nothing() {
        let some = Allowed::parse("10.1.0.0/16, 192.168.7.7,fd00::/8").unwrap();
        for (text, may) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.168.7.7", true),
            ("192.168.7.8", false),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(some.allows(ip(text)), may, "{text}");
        }
        assert_eq!(Allowed::parse("TRUE"), Some(Allowed::Everything));
        assert_eq!(Allowed::parse("false"), Some(Allowed::Public));
        for bad in ["everything", "10.0.0.0/33", "example.com", "10.0.0.1-10.0.0.9"] {
            assert_eq!(Allowed::parse(bad), None, "{bad}");
        }
    }
}
