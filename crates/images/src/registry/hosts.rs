//! Which hosts may be reached, and how: names that lead to private addresses, and plain HTTP.

use std::net::{IpAddr, SocketAddr};

use quire_domain::address::{Address, classify};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::settings::{PrivateHosts, Settings};

/// What the settings say of hosts.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    private: PrivateHosts,
    plain: Vec<String>,
}

/// A name that leads to a private address, which is not among those that may.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{host}` has the private address {address}")]
pub(crate) struct PrivateAddress {
    pub(crate) host: String,
    pub(crate) address: String,
}

/// A URL that is not followed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    #[error("`{0}` is not an https address")]
    Plain(String),
}

impl Hosts {
    pub(crate) fn new(settings: &Settings) -> Self {
        let lower = |all: &[String]| all.iter().map(|host| host.to_ascii_lowercase()).collect();
        let private = match &settings.private_hosts {
            PrivateHosts::Any => PrivateHosts::Any,
            PrivateHosts::Listed(all) => PrivateHosts::Listed(lower(all)),
        };
        Self { private, plain: lower(&settings.plain_http) }
    }

    /// Whether a registry (`host` or `host:port`) is listed as plain.
    pub(crate) fn is_plain(&self, registry: &str) -> bool {
        self.plain.iter().any(|listed| listed == registry || listed == host_of(registry))
    }

    /// Whether a registry is on this machine by its very name.
    pub(crate) fn is_loopback(registry: &str) -> bool {
        let host = host_of(registry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether this host may have a private address.
    fn may_be_private(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let named =
            |listed: &String| host_of(listed).trim_start_matches('[').trim_end_matches(']') == host;
        match &self.private {
            PrivateHosts::Any => true,
            PrivateHosts::Listed(all) => all.iter().chain(&self.plain).any(named),
        }
    }

    /// Whether a URL may be asked for: one that the registry named (a redirect, a token service)
    /// or the registry's own.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        let with_port = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let plain_is_fine = self.is_plain(&with_port) || Self::is_loopback(&with_port);
        if url.scheme() != "https" && !(url.scheme() == "http" && plain_is_fine) {
            return Err(Refused::Plain(format!("{}://{host}", url.scheme())));
        }
        // Names are checked when they are resolved.
        let literal: Option<IpAddr> =
            host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        match literal.filter(|address| is_private(*address) && !self.may_be_private(host)) {
            Some(address) => {
                Err(PrivateAddress { host: with_port, address: address.to_string() }.into())
            }
            None => Ok(()),
        }
    }
}

impl Resolve for Hosts {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let any = self.may_be_private(&host);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.iter().copied().filter(|found| any || !is_private(found.ip())).collect();
            match found.first() {
                Some(first) if public.is_empty() => {
                    Err(PrivateAddress { host, address: first.ip().to_string() }.into())
                }
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

/// Without the port.
fn host_of(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    }
}

/// Whether an address is not one of the public internet.
fn is_private(address: IpAddr) -> bool {
    classify(address) != Address::Public
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use crate::settings::{PrivateHosts, Settings};

    #[test]
    fn a_registry_cannot_send_us_to_this_machine_or_to_plain_http() {
        let settings = Settings {
            plain_http: vec!["plain.example:5000".into()],
            private_hosts: PrivateHosts::Listed(vec!["10.0.0.5:443".into()]),
            ..Settings::default()
        };
        let hosts = Hosts::new(&settings);
        let check = |url: &str| hosts.check(&url.parse().unwrap()).is_ok();
        for url in ["https://h.example/x", "http://plain.example:5000/x", "https://10.0.0.5/x"] {
            assert!(check(url), "{url}");
        }
        for url in [
            "http://h.example/x",
            "https://169.254.169.254/",
            "http://127.0.0.1:1/",
            "ftp://h.example/",
            "https://[::1]/",
            "http://plain.example/",
        ] {
            assert!(!check(url), "{url}");
        }
    }
}
