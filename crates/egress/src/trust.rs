//! The forms in which a sandbox is given the certificate authorities it is to believe.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use rustls::pki_types::CertificateDer;

/// What a Java key store is protected with where nothing is secret.
pub(crate) const JAVA_PASSWORD: &str = "changeit";

/// The certificate authorities that a sandbox believes: those of the worker and the task's own.
///
/// Write [`Self::bundle_pem`] to a file inside and [`Self::java_store`] beside it with the
/// extension `jks`; [`crate::environment`] points programs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The task's own authority alone.
    pub authority_pem: String,
    /// All of them, the task's own first, as PEM.
    pub bundle_pem: String,
    /// All of them as a Java key store (JKS, password `changeit`).
    pub java_store: Vec<u8>,
}

impl Trust {
    /// The task's `authority`, and the `others`.
    pub(crate) fn new(authority: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Self {
        let authority_pem = pem(authority);
        let mut bundle_pem = authority_pem.clone();
        for other in others {
            bundle_pem.push_str(&pem(other));
        }
        let all: Vec<&CertificateDer<'_>> = std::iter::once(authority).chain(others).collect();
        Self { authority_pem, bundle_pem, java_store: java_store(&all) }
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// A key store of trusted certificates in the form that every Java reads: JKS, version 2. Numbers
/// are big-endian, texts have a 16-bit length; at the end SHA-1 over password (UTF-16), a constant
/// and everything before.
fn java_store(certificates: &[&CertificateDer<'_>]) -> Vec<u8> {
    let mut store = Vec::new();
    let number = |store: &mut Vec<u8>, value: usize| {
        store.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
    };
    let text = |store: &mut Vec<u8>, value: &str| {
        store.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        store.extend(value.as_bytes());
    };
    number(&mut store, 0xfeed_feed);
    number(&mut store, 2);
    number(&mut store, certificates.len());
    for (index, certificate) in certificates.iter().enumerate() {
        // 2: a trusted certificate, not a key.
        number(&mut store, 2);
        text(&mut store, &format!("quire-{index}"));
        // When it was put in, in milliseconds: nobody reads it.
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        number(&mut store, certificate.len());
        store.extend(certificate.iter());
    }
    let mut sum = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for unit in JAVA_PASSWORD.encode_utf16() {
        sum.update(&unit.to_be_bytes());
    }
    sum.update(b"Mighty Aphrodite");
    sum.update(&store);
    store.extend(sum.finish().as_ref());
    store
}
