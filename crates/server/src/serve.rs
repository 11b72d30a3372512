//! Takes connections, as many as are allowed, and lets them end when the server does.

mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::access::Encrypted;
use crate::guard::Peer;
use crate::routes::router;
use crate::state::State;

pub use tls::{Tls, TlsError};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How many headers a request may have.
const MAX_HEADERS: usize = 100;

/// How many bytes the head of a request may have, and a connection's buffer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Requests that one connection may have open at once, over HTTP/2.
const MAX_STREAMS: u32 = 100;

/// How long to wait where the system has no more descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is cancelled; then takes no more, lets requests end within
/// [`crate::Settings::drain`], ends streams at once, and returns.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve_with(listener, state, None, shutdown).await
}

/// As [`serve`], with every connection encrypted where there is a certificate.
pub async fn serve_with(
    listener: TcpListener,
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    if let Some(tls) = tls.clone() {
        let ending = state.ending.clone();
        tokio::spawn(async move { ending.run_until_cancelled(tls.look_again()).await });
    }
    let app = router(state.clone());
    let room = Arc::new(Semaphore::new(state.settings.max_connections));
    let connections = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        // Events are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let (app, ending) = (app.clone(), state.ending.clone());
        let tls = tls.clone();
        connections.spawn(async move {
            let peer = Peer(address);
            match tls {
                None => connection(stream, peer, false, app, ending).await,
                Some(tls) => {
                    if let Some(stream) = tls.accept(stream).await {
                        connection(stream, peer, true, app, ending).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    state.ending.cancel();
    connections.close();
    if tokio::time::timeout(state.settings.drain, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections are cut, as time is up");
    }
    Ok(())
}

/// One connection, to its end.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    encrypted: bool,
    app: Router,
    ending: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(Encrypted(encrypted));
            app.oneshot(request).await
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut asked = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, peer = %peer.0, "a connection broke");
                }
                return;
            }
            () = ending.cancelled(), if !asked => {
                asked = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
