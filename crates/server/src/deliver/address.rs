//! Which addresses a webhook may be sent to: those of the world, and hosts that an administrator
//! named. A person who sets a webhook up must not reach this machine's or this network's services.

use std::net::{IpAddr, SocketAddr};

use quire_domain::address::{Address, classify};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What may be called.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Hosts that may have private addresses and may be called without TLS.
    pub private_hosts: Vec<String>,
}

impl Targets {
    /// Refuses an address that is never called, in words for the person. Whether a name leads to a
    /// private address is seen when it is called.
    pub fn check(&self, target: &str) -> Result<Url, String> {
        let url: Url = target.parse().map_err(|error| format!("`{target}` is no URL: {error}"))?;
        let Some(host) = url.host_str() else {
            return Err(format!("`{target}` names no host"));
        };
        let listed = self.is_listed(host);
        match url.scheme() {
            "https" => {}
            "http" if listed => {}
            "http" => return Err(format!("`{target}` is not encrypted: use https")),
            other => return Err(format!("`{target}`: a webhook is sent by https, not by {other}")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "leave user and password out of the address: webhooks are signed".to_owned()
            );
        }
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !listed && classify(address) != Address::Public => Err(format!(
                "{address} is a private address: an administrator may allow it with `[notices] private_hosts`"
            )),
            _ => Ok(url),
        }
    }

    fn is_listed(&self, host: &str) -> bool {
        self.private_hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }
}

impl Resolve for Targets {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = if targets.is_listed(&host) {
                found
            } else {
                found.into_iter().filter(|at| classify(at.ip()) == Address::Public).collect()
            };
            if allowed.is_empty() {
                return Err(format!("{host} leads to private addresses only").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Targets;

    #[test]
    fn a_webhook_reaches_the_world_and_what_was_named_and_nothing_else() {
        let targets = Targets { private_hosts: vec!["hooks.internal".into(), "10.0.0.9".into()] };
        let ok = |url: &str| targets.check(url).is_ok();
        assert!(
            ok("https://example.com/hook")
                && ok("http://hooks.internal/x")
                && ok("http://10.0.0.9:1/")
        );
        for url in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://169.254.169.254/latest",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://user:word@example.com/",
            "nonsense",
        ] {
            assert!(!ok(url), "{url}");
        }
    }
}
