//! Encrypted connections, by a certificate and a key in files that may change under way.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A file is at most this long, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What a client is told that speaks plain HTTP to an encrypted port.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 56\r\n\
    Connection: close\r\n\r\nThis port is encrypted: ask again with https://, please\n";

/// Why connections cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in the files is of no use.
    #[error("{certificate} and {key} cannot be used: {why}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
        /// Why.
        why: String,
    },
}

/// Certificate and key. What is there when a connection begins is used for it.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: RwLock<(Vec<u8>, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the files, PEM both: the certificate with those that lead to its authority.
    pub async fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let now = RwLock::new(read(&certificate, &key).await?);
        Ok(Self { certificate, key, now })
    }

    /// Reads the files again each 10 s, for ever. Those that are of no use are left.
    pub(super) async fn look_again(&self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            self.reload().await;
        }
    }

    /// Takes what is in the files now, if it is of use; says whether it is another certificate.
    pub async fn reload(&self) -> bool {
        match read(&self.certificate, &self.key).await {
            Ok(found) => {
                let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
                let changed = found.0 != now.0;
                if changed {
                    tracing::info!(certificate = %self.certificate.display(), "renewed");
                    *now = found;
                }
                changed
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate of before is used on");
                false
            }
        }
    }

    /// Agrees on keys; `None` where the client did not, or spoke plain HTTP.
    pub(super) async fn accept(&self, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let config = self.now.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        let agreed = async {
            let mut first = [0];
            // A handshake begins with 22.
            if stream.peek(&mut first).await? == 1 && first[0] != 22 {
                stream.write_all(PLAIN).await?;
                stream.shutdown().await?;
                return Err(io::Error::other("plain HTTP"));
            }
            TlsAcceptor::from(config).accept(stream).await
        };
        match tokio::time::timeout(HANDSHAKE, agreed).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no keys were agreed on");
                None
            }
            Err(_) => None,
        }
    }
}

async fn read(certificate: &Path, key: &Path) -> Result<(Vec<u8>, Arc<ServerConfig>), TlsError> {
    let (chain_pem, key_pem) = (bytes(certificate).await?, bytes(key).await?);
    let unusable = |why: String| TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        why,
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&chain_pem).collect();
    let chain = chain.map_err(|error| unusable(error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| unusable(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((chain_pem, Arc::new(config)))
}

async fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = async {
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(io::Error::other(format!("it is longer than {MOST_BYTES} bytes")));
        }
        Ok(bytes)
    };
    read.await.map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
