//! Hosts inside the company that an administrator lets sandboxes reach.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use quire_domain::network::{BadRule, DomainPattern};

/// A host and port that may be reached although its address is private: `host:port`, or
/// `host:port=address` where the name is not to be resolved.
///
/// It lifts the check of the address and nothing else: a rule has to allow the request as well
/// (the policy `on` allows it). Metadata addresses stay refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateHost {
    pattern: DomainPattern,
    port: u16,
    address: Option<IpAddr>,
}

impl PrivateHost {
    /// Whether it is `host`, lower-case ASCII without the closing dot, on `port`.
    pub fn is(&self, host: &str, port: u16) -> bool {
        self.port == port && self.pattern.host() == host
    }

    /// Where it is, if that is not to be asked of the resolver.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl FromStr for PrivateHost {
    type Err = BadPrivateHost;

    fn from_str(text: &str) -> Result<Self, BadPrivateHost> {
        let bad = |why| BadPrivateHost::Form { text: text.to_owned(), why };
        let (name, address) = match text.trim().split_once('=') {
            Some((name, address)) => {
                let address = address.trim().trim_start_matches('[').trim_end_matches(']');
                let address = address.parse().map_err(|_| bad("after `=` goes one IP address"))?;
                (name.trim(), Some(address))
            }
            None => (text.trim(), None),
        };
        let pattern: DomainPattern = name.parse()?;
        if pattern.is_wildcard() {
            return Err(bad("name one host, without `*`"));
        }
        let port = pattern.port().ok_or_else(|| bad("name the port"))?;
        Ok(Self { pattern, port, address })
    }
}

impl fmt::Display for PrivateHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)?;
        match self.address {
            Some(address) => write!(f, "={address}"),
            None => Ok(()),
        }
    }
}

/// Why a private host cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateHost {
    /// It has another form than `host:port` or `host:port=address`.
    #[error("`{text}`: {why}; a private host is `host:port` or `host:port=address`")]
    Form {
        /// As written.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The host is none.
    #[error(transparent)]
    Host(#[from] BadRule),
}

#[cfg(test)]
mod tests {
    use super::PrivateHost;

    #[test]
    fn a_private_host_is_one_host_and_one_port() {
        let host: PrivateHost = "Registry.corp:8081".parse().unwrap();
        assert!(host.is("registry.corp", 8081) && !host.is("registry.corp", 443));
        assert_eq!(host.address(), None);
        let pinned: PrivateHost = "registry.corp:443 = [fd00::7]".parse().unwrap();
        assert_eq!(pinned.address(), Some("fd00::7".parse().unwrap()));
        assert_eq!(pinned.to_string(), "registry.corp:443=fd00::7");
        for bad in ["registry.corp", "*.corp.example:80", "10.0.0.7:80", "a.b:80=here", "a.b:0", ""]
        {
            assert!(bad.parse::<PrivateHost>().is_err(), "{bad}");
        }
    }
}
