//! The HTTP clients that all attempts of a process share, and the addresses they are given.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};

use crate::catalogue::Dialect;

/// Clients of one process: one for this machine, one for the world, each built when first needed.
#[derive(Clone)]
pub(crate) struct HttpClients {
    clients: Arc<Clients>,
}

struct Clients {
    connect_timeout: Duration,
    near: OnceLock<Built>,
    far: OnceLock<Built>,
}

/// A client, or why there is none.
type Built = Result<reqwest::Client, String>;

impl HttpClients {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let clients = Clients { connect_timeout, near: OnceLock::new(), far: OnceLock::new() };
        Self { clients: Arc::new(clients) }
    }

    /// Begins to build the client for `base_url` where that takes long: reading the machine's
    /// certificates takes some 10 ms, which can pass while a sandbox is prepared.
    pub(crate) fn prepare(&self, base_url: &str) {
        if !is_near(base_url) {
            let clients = Arc::clone(&self.clients);
            // Without a thread of its own it is built when it is needed.
            let name = "certificates".to_owned();
            let _ = std::thread::Builder::new().name(name).spawn(move || {
                // Why there is none, the first request is told.
                let _ = clients.far();
            });
        }
    }

    /// The client for `base_url`. Certificates are only loaded for other machines, and proxies
    /// only looked for there.
    pub(crate) async fn for_url(&self, base_url: &str) -> Built {
        if is_near(base_url) {
            return self.clients.near();
        }
        if let Some(built) = self.clients.far.get() {
            return built.clone();
        }
        let clients = Arc::clone(&self.clients);
        tokio::task::spawn_blocking(move || clients.far())
            .await
            .unwrap_or_else(|error| Err(format!("cannot set up the HTTP client: {error}")))
    }
}

impl Clients {
    fn near(&self) -> Built {
        self.near.get_or_init(|| self.build(true, RootCertStore::empty())).clone()
    }

    fn far(&self) -> Built {
        self.far.get_or_init(|| self.build(false, world_roots())).clone()
    }

    fn build(&self, near: bool, roots: RootCertStore) -> Built {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot set up TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // HTTP/1.1, as no other protocol is offered: a reply is a long stream, and one connection
        // for all of them would be cut for all of them.
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(self.connect_timeout)
            // A key must not follow a redirect to where nobody pointed us.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_mins(1));
        if near {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| format!("cannot set up the HTTP client: {error}"))
    }
}

/// The machine's certificate authorities (a company may have its own), else Mozilla's.
fn world_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// An address as we use it: with a scheme, without a slash at the end, with the version that
/// people leave out.
pub(crate) fn normal_base_url(address: &str, dialect: Dialect) -> String {
    let address = address.trim().trim_end_matches('/');
    if address.is_empty() {
        return String::new();
    }
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else {
        // As in OLLAMA_HOST; a server that listens on all addresses is reached on this machine's.
        format!("http://{}", address.replacen("0.0.0.0", "127.0.0.1", 1))
    };
    let path = with_scheme.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let last = path.map_or("", |(_, path)| path.rsplit('/').next().unwrap_or(""));
    let has_version =
        last.strip_prefix('v').is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    let wants_version = match dialect {
        Dialect::Messages => !has_version,
        Dialect::Responses | Dialect::Chat => last.is_empty(),
    };
    if wants_version { format!("{with_scheme}/v1") } else { with_scheme }
}

/// Says what is wrong with an address, if anything.
pub(crate) fn check_base_url(base_url: &str) -> Result<(), String> {
    let url = Url::parse(base_url).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme `{}` is neither http nor https", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a password; give the key by its variable".to_owned());
    }
    Ok(())
}

/// Whether it is plain HTTP on this machine.
fn is_near(base_url: &str) -> bool {
    Url::parse(base_url).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url))
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
    fn an_address_gets_the_parts_that_people_leave_out() {
        let cases = [
            ("https://api.openai.com/v1/", Dialect::Responses, "https://api.openai.com/v1"),
            ("http://localhost:8000", Dialect::Chat, "http://localhost:8000/v1"),
            ("0.0.0.0:11434", Dialect::Chat, "http://127.0.0.1:11434/v1"),
            ("https://api.anthropic.com", Dialect::Messages, "https://api.anthropic.com/v1"),
            ("https://gate.example/claude", Dialect::Messages, "https://gate.example/claude/v1"),
            ("https://gate.example/openai", Dialect::Chat, "https://gate.example/openai"),
            ("http://h/r/x/bench/20/v1", Dialect::Messages, "http://h/r/x/bench/20/v1"),
            ("  ", Dialect::Chat, ""),
        ];
        for (given, dialect, expected) in cases {
            assert_eq!(normal_base_url(given, dialect), expected, "{given}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused_with_the_reason() {
        for bad in ["ftp://host/v1", "https://me:secret@host/v1", "http://[::1/v1"] {
            assert!(check_base_url(bad).is_err(), "{bad}");
        }
        assert_eq!(check_base_url("http://[::1]:8000/v1"), Ok(()));
    }
}
