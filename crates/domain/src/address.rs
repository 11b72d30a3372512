//! Which addresses are nobody's business outside: private ones, in every form they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer with the machine's own credentials. Refused also where an administrator
/// lists a host that resolves to them.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Anybody's.
    Public,
    /// Of a network that is not the world's; the word says which.
    Private(&'static str),
    /// A cloud's metadata service.
    Metadata,
}

/// What `address` is. An IPv6 address that stands for an IPv4 one is what that is.
pub fn classify(address: IpAddr) -> Address {
    if METADATA.contains(&address) {
        return Address::Metadata;
    }
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Documentation ranges and 198.18.0.0/15 count as public: networks exist that really answer
/// there, the first for mirrors, the second for what local clients of private networks invent.
fn classify_v4(address: Ipv4Addr) -> Address {
    let [a, b, c, _] = address.octets();
    Address::Private(match (a, b, c) {
        (0, ..) => "unspecified",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "carrier-grade NAT",
        (127, ..) => "loopback",
        (169, 254, _) => "link-local",
        (192, 0, 0) => "protocol assignments",
        (224..=239, ..) => "multicast",
        (240..=255, ..) => "reserved or broadcast",
        _ => return Address::Public,
    })
}

fn classify_v6(address: Ipv6Addr) -> Address {
    let segments = address.segments();
    let [.., high, low] = segments;
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Address::Private("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Address::Private("loopback"),
        // Mapped, translated (SIIT) and, long deprecated, compatible forms; NAT64 by the
        // well-known prefix.
        [0, 0, 0, 0, 0, 0xffff | 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => embedded(high, low),
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // ISATAP names an IPv4 address in the interface's id, below any prefix.
        [.., 0x0000 | 0x0200, 0x5efe, _, _] if embedded(high, low) != Address::Public => {
            embedded(high, low)
        }
        _ => prefix_v6(segments),
    }
}

/// The IPv4 address in two groups of an IPv6 one.
fn embedded(high: u16, low: u16) -> Address {
    classify(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
}

fn prefix_v6(segments: [u16; 8]) -> Address {
    Address::Private(match (segments[0], segments[1]) {
        (0x0064, 0xff9b) => "local NAT64",
        (0x0100, 0) if segments[2] == 0 && segments[3] == 0 => "discard",
        (0x2001, 0) => "Teredo",
        (0xfc00..=0xfdff, _) => "unique local",
        (0xfe80..=0xfebf, _) => "link-local",
        (0xfec0..=0xfeff, _) => "site-local",
        (0xff00..=0xffff, _) => "multicast",
        (0x0000..=0x00ff, _) => "reserved",
        _ => return Address::Public,
    })
}

#[cfg(test)]
mod tests {
    use super::{Address, classify};

    fn of(text: &str) -> Address {
        classify(text.parse().unwrap())
    }

    #[test]
    fn private_addresses_are_known_in_every_form() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.0.1",
            "192.0.0.8",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:127.0.0.1",
            "fe80::5efe:8.8.8.8",
            "0:1::1",
        ] {
            assert!(matches!(of(text), Address::Private(_)), "{text}: {:?}", of(text));
        }
        for text in [
            "169.254.169.254",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "100.100.100.200",
            "192.0.0.192",
        ] {
            assert_eq!(of(text), Address::Metadata, "{text}");
        }
    }

    #[test]
    fn public_ones_are_let_through_and_so_are_those_of_documentation() {
        for text in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "223.255.255.255",
            "169.253.0.1",
            "2606:4700::1111",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:4860:4860::8888",
            "2606:4700::5efe:8.8.8.8",
        ] {
            assert_eq!(of(text), Address::Public, "{text}");
        }
    }
}
