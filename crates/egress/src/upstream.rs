//! The far end of a request: a connection that speaks HTTP/1.1.

use std::sync::Arc;

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::body::Body;
use crate::dial::{self, Route};
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::target::Target;

/// Headers of an answer; more is no answer.
const MOST_HEADERS: usize = 200;

/// Where requests of a connection go.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) target: Target,
    /// Whether TLS is spoken to it.
    pub(crate) encrypted: bool,
    /// How it is reached, where that is already decided.
    pub(crate) route: Option<Route>,
}

/// A connection to a destination.
pub(crate) struct Upstream {
    target: Target,
    encrypted: bool,
    /// Whether requests are to name the whole address, as the other end is a proxy.
    pub(crate) by_parent: bool,
    pub(crate) sender: SendRequest<Body>,
    _driver: AbortOnDropHandle<()>,
}

impl Upstream {
    /// Connects.
    pub(crate) async fn open(
        shared: &Shared,
        route: &Route,
        destination: &Destination,
    ) -> Result<Self, Refusal> {
        let target = &destination.target;
        let by_parent = matches!(route, Route::Parent) && !destination.encrypted;
        let stream = if by_parent {
            dial::dial_parent(shared).await?
        } else {
            dial::dial(shared, route, target).await?
        };
        if destination.encrypted {
            let stream = encrypt(shared, stream, target).await?;
            Self::over(shared, stream, destination, by_parent).await
        } else {
            Self::over(shared, stream, destination, by_parent).await
        }
    }

    /// Whether it goes to `destination`, and can take another request.
    pub(crate) fn fits(&self, destination: &Destination) -> bool {
        self.target == destination.target
            && self.encrypted == destination.encrypted
            && !self.sender.is_closed()
    }

    async fn over(
        shared: &Shared,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        destination: &Destination,
        by_parent: bool,
    ) -> Result<Self, Refusal> {
        let handshake = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MOST_HEADERS)
            .max_header_size(shared.settings.limits.head_bytes)
            .handshake(TokioIo::new(stream));
        let (sender, driver) = handshake
            .await
            .map_err(|_| Refusal::upstream("upstream", "the connection broke off"))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // How it ended is told to the request that was on its way.
            let _ = driver.await;
        }));
        Ok(Self {
            target: destination.target.clone(),
            encrypted: destination.encrypted,
            by_parent,
            sender,
            _driver: driver,
        })
    }
}

/// TLS with the target's own, verified certificate.
async fn encrypt(
    shared: &Shared,
    stream: TcpStream,
    target: &Target,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Refusal> {
    let failed = |why: String| Refusal::upstream("upstream_tls", why);
    let config = shared.client().map_err(|error| failed(error.to_string()))?;
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| failed(format!("{} is no name that a certificate can have", target.host)))?;
    let connect = TlsConnector::from(Arc::clone(&config)).connect(name, stream);
    match tokio::time::timeout(shared.settings.limits.handshake, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(format!("no trusted TLS with {target}: {error}"))),
        Err(_) => Err(Refusal::late("tls_timeout", format!("{target} is slow to begin TLS"))),
    }
}
