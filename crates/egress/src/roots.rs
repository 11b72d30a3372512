//! Which certificate authorities upstream servers are checked against.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::EgressError;

/// Certificate authorities: the machine's own, and further ones of a company.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    system: bool,
    further: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Those of the machine, a company's in `/etc/ssl/certs` included; Mozilla's where the machine
    /// has none.
    pub fn system() -> Self {
        Self { system: true, further: Vec::new() }
    }

    /// None yet.
    pub fn none() -> Self {
        Self::default()
    }

    /// With the certificates of a PEM file in addition.
    pub fn with_pem(mut self, pem: &[u8]) -> Result<Self, BadRoots> {
        let before = self.further.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.further.push(certificate.map_err(|error| BadRoots::Pem(error.to_string()))?);
        }
        if self.further.len() == before {
            return Err(BadRoots::Empty);
        }
        Ok(self)
    }

    /// All of them. Reads files: once per worker.
    pub(crate) fn load(&self) -> Loaded {
        let mut certificates = Vec::new();
        let mut store = RootCertStore::empty();
        if self.system {
            certificates = rustls_native_certs::load_native_certs().certs;
            store.add_parsable_certificates(certificates.iter().cloned());
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        store.add_parsable_certificates(self.further.iter().cloned());
        certificates.extend(self.further.iter().cloned());
        Loaded { certificates, store }
    }
}

/// The certificates of [`Roots`], read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// As the sandbox is given them, beside the task's own.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    store: RootCertStore,
}

impl Loaded {
    /// How upstream servers are spoken to: HTTP/1.1 and nothing else is offered.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, EgressError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(EgressError::Tls)?
            .with_root_certificates(self.store.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Why certificates cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoots {
    /// It is no PEM.
    #[error("cannot read the certificates: {0}")]
    Pem(String),
    /// There is none in it.
    #[error("the file holds no certificate (`-----BEGIN CERTIFICATE-----`)")]
    Empty,
}
