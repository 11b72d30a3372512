//! A client: one server, and who one is there.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::secret::Secret;
use rustls::{ClientConfig, RootCertStore};

use crate::address::ServerAddress;
use crate::error::ClientError;

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub address: ServerAddress,
    /// Who one is there; nobody without.
    pub token: Option<Secret<String>>,
    /// Certificates of authorities to trust beside the machine's, as a PEM file has them.
    pub authorities: Vec<u8>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long an answer may take to begin, and how long an answer or a body may pause.
    pub timeout: Duration,
}

impl Config {
    /// The usual one.
    pub fn new(address: ServerAddress, token: Option<Secret<String>>) -> Self {
        Self {
            address,
            token,
            authorities: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(1),
        }
    }
}

/// One server, and who one is there. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub config: Config,
    pub http: reqwest::Client,
    /// For errors.
    pub server: String,
}

impl Client {
    /// Sets up a client; nothing is sent yet. Reads the machine's certificates where they are
    /// needed, which takes some 10 ms.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let server = config.address.to_string();
        let setup = |why: String| ClientError::Setup { server: server.clone(), why };
        let near = config.address.is_near();
        let plain = server.starts_with("http://");
        let roots = if plain { RootCertStore::empty() } else { roots(&config.authorities)? };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.timeout)
            // A token must not follow a redirect to where nobody pointed us.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(30));
        if near {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| setup(error.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { config, http, server }) })
    }

    /// Where the server is.
    pub fn address(&self) -> &ServerAddress {
        &self.inner.config.address
    }
}

/// The machine's certificate authorities, else Mozilla's, and those of a file.
fn roots(pem: &[u8]) -> Result<RootCertStore, ClientError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|one| roots.add(one).map_err(|error| error.to_string()));
        added.map_err(|why| ClientError::Setup {
            server: "the server".to_owned(),
            why: format!("the file of certificate authorities cannot be used: {why}"),
        })?;
    }
    Ok(roots)
}
