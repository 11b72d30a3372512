//! The address of a server, as people type it.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Where a server is: a scheme, a host, maybe a port and the path that a proxy has it at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    url: Url,
}

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not the address of a server: {why}")]
pub struct BadAddress {
    /// What was given; nothing where it may hold a password.
    pub shown: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl ServerAddress {
    /// Reads an address. One without a scheme is `https`, or `http` on this machine.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        let bad = |why| BadAddress { shown: shown.clone(), why };
        if text.is_empty() || text.len() > 2_000 {
            return Err(bad("it is empty or too long"));
        }
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            let near = Url::parse(&format!("http://{text}")).is_ok_and(|url| is_loopback(&url));
            format!("{}://{text}", if near { "http" } else { "https" })
        };
        let mut url = Url::parse(&with_scheme).map_err(|_| bad("it cannot be read as a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("only http and https are spoken"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("it names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let why = "it holds a password; sign in with a token instead";
            return Err(BadAddress { shown: url.host_str().unwrap_or_default().to_owned(), why });
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url })
    }

    /// A path below the API of this version.
    pub(crate) fn api(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    /// Its name, for people: host, and port where that is not the usual one.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether it is this machine.
    pub fn is_near(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether what is sent there can be read on the way: plain HTTP to another machine.
    pub fn is_readable_on_the_way(&self) -> bool {
        self.url.scheme() == "http" && !self.is_near()
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_what_people_leave_out_and_keeps_a_proxys_path() {
        for (given, expected, task) in [
            ("quire.example", "https://quire.example", "https://quire.example/api/v1/tasks/a%20b"),
            ("localhost:7070", "http://localhost:7070", "http://localhost:7070/api/v1/tasks/a%20b"),
            ("[::1]:70/", "http://[::1]:70", "http://[::1]:70/api/v1/tasks/a%20b"),
            ("https://h/quire/?x#y", "https://h/quire", "https://h/quire/api/v1/tasks/a%20b"),
        ] {
            let address = ServerAddress::parse(given).unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.api(&["tasks", "a b"]).as_str(), task);
        }
        for bad in ["", "ftp://h", "https://me:secret@h", "http://", "h h"] {
            let error = ServerAddress::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(ServerAddress::parse("http://10.0.0.1").unwrap().is_readable_on_the_way());
    }
}
