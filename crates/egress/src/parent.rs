//! The proxy that the worker itself has to go through, if there is one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use quire_domain::secret::Secret;

/// A proxy between the worker and the world: `http://[user:password@]host[:port]`.
///
/// Names that it is asked for are checked here as far as they resolve here; behind such a proxy
/// the outside often does not, and then the proxy's own rules are the ones that hold.
#[derive(Debug, Clone)]
pub struct Parent {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<Secret<HeaderValue>>,
    around: Vec<String>,
}

impl Parent {
    /// Reads an address as `HTTPS_PROXY` has it and a list as `NO_PROXY` has it (host names and
    /// domains separated by commas; `*` for everything).
    pub fn parse(address: &str, no_proxy: &str) -> Result<Self, BadParent> {
        let rest = match address.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return Err(BadParent::Scheme),
            None => address,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(BadParent::Address)?)),
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return Err(BadParent::Address);
        }
        let port = port.map_or(Ok(80), str::parse).map_err(|_| BadParent::Address)?;
        let authorization = user.map(authorization).transpose()?;
        let around = no_proxy
            .split([',', ' '])
            .map(|entry| entry.trim().trim_start_matches("*.").trim_start_matches('.'))
            .filter(|entry| !entry.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        Ok(Self { host: host.to_owned(), port, authorization, around })
    }

    /// Whether `host` on `port` is reached through it.
    pub(crate) fn serves(&self, host: &str, port: u16) -> bool {
        !self.around.iter().any(|entry| {
            let name = match entry.rsplit_once(':') {
                Some((name, own)) if own == port.to_string() => name,
                Some(_) => return false,
                None => entry,
            };
            name == "*"
                || host == name
                || host.strip_suffix(name).is_some_and(|front| front.ends_with('.'))
        })
    }
}

/// `Basic …` from `user:password`, percent-decoded.
fn authorization(user: &str) -> Result<Secret<HeaderValue>, BadParent> {
    let decoded = crate::percent::decoded(user.as_bytes()).ok_or(BadParent::User)?;
    let text = format!("Basic {}", STANDARD.encode(decoded));
    let mut value = HeaderValue::from_str(&text).map_err(|_| BadParent::User)?;
    value.set_sensitive(true);
    Ok(Secret::new(value))
}

/// Why the address of a parent proxy cannot be used. Never says user or password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadParent {
    /// Another scheme than `http`.
    #[error("a proxy of the worker is spoken to by `http://`; other schemes are not supported")]
    Scheme,
    /// No host, or a port that is none.
    #[error("the address of the worker's proxy is not `http://host:port`")]
    Address,
    /// User and password cannot be read.
    #[error("user and password of the worker's proxy cannot be read: percent-encode them")]
    User,
}

#[cfg(test)]
mod tests {
    use super::{BadParent, Parent};

    #[test]
    fn an_address_is_read_as_the_variable_has_it() {
        let parent = Parent::parse("http://me:p%40ss@proxy.corp:3128/", "").unwrap();
        assert_eq!((parent.host.as_str(), parent.port), ("proxy.corp", 3128));
        let value = parent.authorization.as_ref().unwrap().reveal();
        assert_eq!(value.as_bytes(), b"Basic bWU6cEBzcw==");
        assert!(!format!("{parent:?}").contains("bWU6"));
        assert_eq!(Parent::parse("proxy.corp", "").unwrap().port, 80);
        assert_eq!(Parent::parse("http://[::1]:81", "").unwrap().host, "::1");
        assert_eq!(Parent::parse("socks5://a:1", "").unwrap_err(), BadParent::Scheme);
        for bad in ["http://", "http://a:b", "http://a b", "http://a/b"] {
            assert_eq!(Parent::parse(bad, "").unwrap_err(), BadParent::Address, "{bad}");
        }
    }

    #[test]
    fn what_no_proxy_lists_goes_around_it() {
        let parent =
            Parent::parse("http://p:1", "localhost, .corp.example,b.example:8080").unwrap();
        for (host, port) in [("localhost", 80), ("a.corp.example", 443), ("b.example", 8080)] {
            assert!(!parent.serves(host, port), "{host}");
        }
        for (host, port) in [("b.example", 443), ("badcorp.example", 443), ("example", 80)] {
            assert!(parent.serves(host, port), "{host}");
        }
        assert!(!Parent::parse("http://p:1", "*").unwrap().serves("any.example", 443));
    }
}
