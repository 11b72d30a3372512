//! The HTTP client: certificates, proxy, timeouts, redirects.

use std::sync::Arc;

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, NoProxy, Proxy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::hosts::Hosts;
use crate::error::ImageError;
use crate::settings::Settings;

/// The most redirects that are followed.
const REDIRECTS: usize = 5;

/// Builds it. Reads the machine's certificates: some 10 ms.
pub(crate) fn build(settings: &Settings, hosts: &Hosts) -> Result<Client, ImageError> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        ImageError::Settings(format!("{what}: {error}"))
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in &settings.authorities_pem {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong("a certificate", &error))?;
            roots.add(certificate).map_err(|error| wrong("a certificate", &error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", &error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let followed = hosts.clone();
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.timing.connect)
        .read_timeout(settings.timing.stall)
        .referer(false)
        .redirect(Policy::custom(move |attempt| follow(&followed, attempt)))
        .dns_resolver(Arc::new(hosts.clone()))
        // What the environment names is for who wires to read.
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        let proxy = Proxy::all(proxy.reveal().as_str())
            .map_err(|_| wrong("the proxy", &"it is not `http://host:port`"))?
            .no_proxy(NoProxy::from_string(&settings.no_proxy));
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| wrong("the HTTP client", &error))
}

/// To where the registry keeps its blobs. Credentials do not go along to another host.
fn follow(hosts: &Hosts, attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    match hosts.check(attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(refused) => attempt.error(refused),
    }
}
