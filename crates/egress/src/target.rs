//! The host and port that a request names: read strictly, or refused.

use std::fmt;

use quire_domain::network::DomainPattern;

/// A host name and a port: lower-case ASCII without the closing dot, never an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The name.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why an authority names no host that a rule could cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadTarget {
    /// It is an IP address, in one of the many forms that resolvers accept.
    Address,
    /// It has a user in front.
    User,
    /// The port is missing or none.
    Port,
    /// It is no host name.
    Name,
}

impl Target {
    /// Reads `host`, `host:port`; `port` where it names none, and an error if that is `None`.
    ///
    /// Names beyond ASCII are refused, not mapped: two ends that map differently would mean two
    /// hosts. Their `xn--` form is a name like any other.
    pub(crate) fn parse(authority: &str, port: Option<u16>) -> Result<Self, BadTarget> {
        if authority.contains('@') {
            return Err(BadTarget::User);
        }
        if authority.starts_with('[') || authority.matches(':').count() > 1 {
            return Err(BadTarget::Address);
        }
        let (name, port) = match authority.split_once(':') {
            Some((name, digits)) => (name, read_port(digits)?),
            None => (authority, port.ok_or(BadTarget::Port)?),
        };
        Ok(Self { host: read_host(name)?, port })
    }
}

/// A host name alone, as a certificate or a server name has it.
pub(crate) fn read_host(name: &str) -> Result<String, BadTarget> {
    let host = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    // What ends in a number is an address to some resolvers: 127.1, 0x7f.1, 017700000001.
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let hex = last.strip_prefix("0x");
    if digits || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(BadTarget::Address);
    }
    // The same grammar as that of rules: what no rule can name is not asked for.
    match host.parse::<DomainPattern>() {
        Ok(pattern) if !pattern.is_wildcard() && pattern.host() == host => Ok(host),
        _ => Err(BadTarget::Name),
    }
}

fn read_port(digits: &str) -> Result<u16, BadTarget> {
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadTarget::Port);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(BadTarget::Port)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quire_domain::network::DomainPattern;

    use super::{BadTarget, Target};

    fn of(text: &str) -> Result<String, BadTarget> {
        Target::parse(text, Some(443)).map(|target| target.to_string())
    }

    #[test]
    fn a_name_is_read_in_one_form() {
        assert_eq!(of("Example.ORG").unwrap(), "example.org:443");
        assert_eq!(of("example.org.:80").unwrap(), "example.org:80");
        assert_eq!(of("xn--bcher-kva.example:8443").unwrap(), "xn--bcher-kva.example:8443");
        assert_eq!(of("a_b.example").unwrap(), "a_b.example:443");
        assert_eq!(Target::parse("example.org", None), Err(BadTarget::Port));
    }

    #[test]
    fn addresses_are_refused_in_every_form() {
        for text in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0X7F.0.0.1",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "[::1]",
            "[::1]:443",
            "::1",
            "[::ffff:127.0.0.1]:80",
            "169.254.169.254:80",
            "1.2.3.0x",
            "example.123",
            "a.0xff",
        ] {
            assert_eq!(of(text), Err(BadTarget::Address), "{text}");
        }
    }

    #[test]
    fn what_hides_another_host_is_refused() {
        for text in ["user@example.org", "example.org@evil.net", "a:b@c", "@example.org"] {
            assert_eq!(of(text), Err(BadTarget::User), "{text}");
        }
        for text in [
            "",
            ".",
            "..",
            "example..org",
            ".example.org",
            "exa mple.org",
            "example.org\0.evil.net",
            "example.org\t",
            " example.org",
            "ex%61mple.org",
            "b\u{fc}cher.example",
            "example\u{3002}org",
            "example.org/",
            "example.org#",
            "example.org?",
            "*.example.org",
            "-a.example",
            "a-.example",
            "exa\\mple.org",
            "example.org..",
        ] {
            assert_eq!(of(text), Err(BadTarget::Name), "{text:?}");
        }
        for text in [
            "a.example:",
            "a.example:0",
            "a.example:+80",
            "a.example:65536",
            "a.example: 80",
            "a.example:080000",
        ] {
            assert_eq!(of(text), Err(BadTarget::Port), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_a_plain_name_that_reads_as_itself(text in ".{0,80}") {
            if let Ok(target) = Target::parse(&text, Some(443)) {
                prop_assert!(target.host.bytes().all(|byte| byte.is_ascii_lowercase()
                    || byte.is_ascii_digit() || b".-_".contains(&byte)));
                prop_assert!(target.host.parse::<std::net::IpAddr>().is_err());
                let again = Target::parse(&target.to_string(), None).unwrap();
                prop_assert_eq!(&again, &target);
                let pattern: DomainPattern = target.host.parse().unwrap();
                prop_assert!(pattern.covers(&target.host, 443));
            }
        }

        #[test]
        fn likely_names_never_panic(text in "[a-zA-Z0-9.:@%\\[\\]_x-]{0,40}") {
            let _ = Target::parse(&text, None);
        }
    }
}
