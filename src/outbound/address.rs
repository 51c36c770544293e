//! Which addresses are public, by IANA's registries of special-purpose addresses (RFC 6890 and its successors). What is
//! not public belongs to this machine, its network, its cloud or nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The ranges of IPv4 that are not public.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private use
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by a carrier's customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // in no registry: where Azure answers its own machines
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, where clouds hand out credentials
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private use
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // IETF protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private use
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// Where all public IPv6 is. Outside lie `::`, `::1`, `64:ff9b:1::/48`, `100::/64`, `5f00::/16`, `fc00::/7`, `fe80::/10`,
/// `fec0::/10`, `ff00::/8` and what nobody has been given yet.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The ranges therein that are not public.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // IETF protocol assignments, Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Prefixes of 96 bits, of which the last 32 bits of an address are an IPv4 address: IPv4-compatible, IPv4-mapped, NAT64.
const CARRIERS: &[Ipv6Addr] =
    &[Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)];

/// 6to4, where the 32 bits after the prefix are an IPv4 address.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// The IPv4 address that is reached through an IPv6 address, or the address itself.
pub(super) fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let (bits, [_, first, second, ..]) = (v6.to_bits(), v6.segments());
    let is_carrier = CARRIERS.iter().any(|prefix| lies_in_v6(v6, (*prefix, 96)));
    if v6.is_loopback() || v6.is_unspecified() {
        address
    } else if is_carrier {
        // The cast keeps the last 32 bits, which are the address.
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else if lies_in_v6(v6, SIX_TO_FOUR) {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(first) << 16 | u32::from(second)))
    } else {
        address
    }
}

/// Whether what is sent to an address stays on this machine.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether an address is reached over the public internet, and nothing closer is.
pub(super) fn is_public(address: IpAddr) -> bool {
    match reached(address) {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|range| lies_in_v4(v4, *range)),
        IpAddr::V6(v6) => lies_in_v6(v6, GLOBAL_UNICAST) && !SPECIAL_V6.iter().any(|range| lies_in_v6(v6, *range)),
    }
}

fn lies_in_v4(address: Ipv4Addr, (start, length): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ start.to_bits()).leading_zeros() >= length
}

fn lies_in_v6(address: Ipv6Addr, (start, length): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ start.to_bits()).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    fn is_public(text: &str) -> bool {
        super::is_public(text.parse().unwrap())
    }

    /// The first and the last address of each range of IPv4, and their neighbours outside.
    const RANGES_V4: &[(&str, &str, &str, &str)] = &[
        ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
        ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("223.255.255.255", "224.0.0.0", "255.255.255.255", ""),
    ];

    #[test]
    fn a_special_range_of_ipv4_is_not_public_and_what_lies_beside_it_is() {
        for (before, first, last, after) in RANGES_V4 {
            for outside in [before, after].into_iter().filter(|address| !address.is_empty()) {
                assert!(is_public(outside), "{outside}");
            }
            assert!(!is_public(first) && !is_public(last), "{first} to {last}");
        }
        assert!(is_public("8.8.8.8") && is_public("142.250.1.1"));
        assert!(!is_public("169.254.169.254"));
    }

    #[test]
    fn a_special_range_of_ipv6_is_not_public_and_what_lies_beside_it_is() {
        for special in [
            "::",
            "::1",
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:808:808",
            "64:ff9b:0:1::808:808",
            "100::",
            "100::ffff:ffff:ffff:ffff",
            "1fff:ffff::",
            "2001::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "2001:db8:ffff::1",
            "3fff::",
            "3fff:fff:ffff::1",
            "4000::",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff00::",
            "ff02::1",
            "::ffff:0:808:808",
        ] {
            assert!(!is_public(special), "{special}");
        }
        for public in ["2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(is_public(public), "{public}");
        }
        assert!(is_public("3ffe::1") && is_public("3fff:1000::1"));
    }

    #[test]
    fn an_address_that_carries_another_is_judged_by_it() {
        for carrier in ["::ffff:{}", "::{}", "64:ff9b::{}"] {
            for (_, first, last, _) in RANGES_V4.iter().skip(1) {
                for inner in [first, last] {
                    assert!(!is_public(&carrier.replace("{}", inner)), "{carrier} {inner}");
                }
            }
            assert!(is_public(&carrier.replace("{}", "8.8.8.8")), "{carrier}");
        }
        for (address, public) in
            [("2002:0808:0808::1", true), ("2002:7f00:0001::1", false), ("2002:a9fe:a9fe::", false), ("2002::", false)]
        {
            assert_eq!(is_public(address), public, "{address}");
        }
    }

    #[test]
    fn loopback_is_what_never_leaves_this_machine() {
        let is_loopback = |text: &str| super::is_loopback(text.parse().unwrap());
        for address in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["0.0.0.0", "128.0.0.1", "::", "::2", "10.0.0.1", "64:ff9b::127.0.0.1"] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
