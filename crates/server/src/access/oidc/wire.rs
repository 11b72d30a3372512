//! Requests to the provider: bounded in time and size, over TLS, and led nowhere else.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;

use super::Refused;
use super::settings::BadProvider;

/// From the call to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The longest answer, in bytes.
const MOST_BYTES: usize = 256 << 10;

/// A client that trusts the system's authorities, and those of `authorities` (PEM).
pub(super) fn client(authorities: Option<&[u8]>) -> Result<reqwest::Client, BadProvider> {
    let bad = |error: &dyn std::fmt::Display| BadProvider(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default()) {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(2)
        .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| bad(&error))
}

/// Sends a request and reads its JSON.
pub(super) async fn ask<T: DeserializeOwned>(
    doing: &'static str,
    request: RequestBuilder,
) -> Result<T, Refused> {
    let failed = |why: String| Refused::Unreachable { doing, why };
    let answer = request.send().await.map_err(|error| failed(in_words(&error)))?;
    let status = answer.status();
    let bytes = read(answer).await.map_err(failed)?;
    if !status.is_success() {
        return Err(failed(format!("it answered {status}{}", of_oauth(&bytes))));
    }
    // What is not as it should be is not repeated: it may hold a token.
    serde_json::from_slice(&bytes).map_err(|error| {
        failed(format!("its answer is not as it should be ({:?})", error.classify()))
    })
}

async fn read(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| in_words(&error))? {
        if bytes.len() + piece.len() > MOST_BYTES {
            return Err(format!("its answer is longer than {} KiB", MOST_BYTES >> 10));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The `error` of an answer by the rules of OAuth, such as `invalid_client`.
fn of_oauth(bytes: &[u8]) -> String {
    let told: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let word = told.as_ref().and_then(|told| told.get("error")?.as_str());
    word.map_or(String::new(), |word| format!(" and said `{}`", plain(word)))
}

/// A word of somebody else's, for the log: short, and of letters that say nothing to a terminal.
pub(crate) fn plain(text: &str) -> String {
    let seen = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(100).map(seen).collect()
}

fn in_words(error: &reqwest::Error) -> String {
    let mut words = if error.is_timeout() {
        format!("no whole answer within {} s", TIMEOUT.as_secs())
    } else {
        "cannot be reached".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
