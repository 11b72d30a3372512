//! What happens in a tunnel: its first bytes are read, then it is relayed or its TLS is ended.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use quire_domain::network::NetworkPolicy;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::body::Body;
use crate::connection::Connection;
use crate::dial::Route;
use crate::entry::Entry;
use crate::exchange;
use crate::hello::{self, BadHello, ClientHello, MOST_HELLO_BYTES};
use crate::meter::Metered;
use crate::origin::BEFORE_REFUSAL;
use crate::outer;
use crate::refusal::Refusal;
use crate::relay;
use crate::target::{self, Target};
use crate::upstream::Destination;

/// TLS alerts, fatal: `unrecognized_name` and `handshake_failure`.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// A tunnel that was granted.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) route: Route,
    /// What allows it unseen; none where it is looked into.
    pub(crate) rule: Option<String>,
    /// The far end, where it is connected already.
    pub(crate) upstream: Option<TcpStream>,
    pub(crate) entry: Arc<Entry>,
}

/// How a tunnel begins.
enum Opening {
    /// With TLS.
    Tls(ClientHello),
    /// With something else.
    Other,
    /// It ended before it began.
    Closed,
}

/// Serves the tunnel; `front` was read behind the head of CONNECT.
pub(crate) async fn run(
    connection: &Arc<Connection>,
    plan: Plan,
    mut stream: TcpStream,
    front: Bytes,
) {
    let mut first = BytesMut::from(&front[..]);
    let opening = opening(connection, &mut stream, &mut first);
    let limit = connection.room.limits().handshake;
    let refusal = match tokio::time::timeout(limit, opening).await {
        Ok(Ok(Opening::Tls(hello))) => match check(connection, &plan.target, &hello) {
            Ok(()) => return encrypted(connection, plan, stream, first.freeze()).await,
            Err(refusal) => refusal,
        },
        Ok(Ok(Opening::Other)) if plan.target.port == 443 => {
            Refusal::bad("not_tls", "a tunnel to port 443 carries TLS and nothing else")
        }
        Ok(Ok(Opening::Other)) => {
            let stream = Metered::new(stream, Arc::clone(&connection.meter));
            return requests(connection, plan, stream.with_front(first.freeze()), false).await;
        }
        Ok(Ok(Opening::Closed)) => {
            if let Some(rule) = &plan.rule {
                plan.entry.allow(rule);
            }
            return;
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::bad("no_hello", "the tunnel was opened and nothing came"),
    };
    plan.entry.refuse(&refusal);
    connection.origin.within(BEFORE_REFUSAL).await;
    let bytes = match refusal.reason {
        "not_tls" => outer::raw_answer(&refusal, connection.room.policy.setting),
        "sni_mismatch" | "no_sni" => UNRECOGNIZED_NAME.to_vec(),
        _ => HANDSHAKE_FAILURE.to_vec(),
    };
    let _ = tokio::time::timeout(limit, relay::write_all(&stream, &bytes)).await;
    let _ = rustix::net::shutdown(&stream, rustix::net::Shutdown::Write);
}

/// Reads until it is clear how the tunnel begins.
async fn opening(
    connection: &Connection,
    stream: &mut TcpStream,
    first: &mut BytesMut,
) -> Result<Opening, Refusal> {
    loop {
        match hello::read(first) {
            Ok(Some(hello)) => return Ok(Opening::Tls(hello)),
            Ok(None) if first.len() > MOST_HELLO_BYTES => {}
            Ok(None) => {
                first.reserve(4096);
                match stream.read_buf(first).await {
                    Ok(0) | Err(_) => return Ok(Opening::Closed),
                    Ok(count) => connection.meter.sent(count),
                }
                continue;
            }
            Err(BadHello::NotTls) => return Ok(Opening::Other),
            Err(BadHello::Malformed) => {}
        }
        return Err(Refusal::bad("bad_hello", "the tunnel begins like TLS and goes on otherwise"));
    }
}

/// Whether the handshake is for the host that the tunnel was asked for.
fn check(connection: &Connection, target: &Target, hello: &ClientHello) -> Result<(), Refusal> {
    let Some(name) = &hello.server_name else {
        let why = format!("TLS to {target} has to name the server (SNI)");
        return Err(Refusal::denied("no_sni", why));
    };
    if target::read_host(name).as_ref() != Ok(&target.host) {
        let why = format!("the tunnel is to {target}, and TLS in it is for another server");
        return Err(Refusal::denied("sni_mismatch", why));
    }
    // Under `on` every host is allowed, and it does not matter which one is hidden.
    if hello.encrypted && connection.room.policy.network != NetworkPolicy::On {
        let why = "TLS hides which server it is for (ECH), and rules are about servers";
        return Err(Refusal::denied("ech", why));
    }
    Ok(())
}

/// TLS for the right host: relayed as it is, or ended here.
async fn encrypted(connection: &Arc<Connection>, plan: Plan, stream: TcpStream, first: Bytes) {
    let Plan { rule, upstream, entry, target, .. } = &plan;
    if let (Some(rule), Some(upstream)) = (rule, upstream) {
        entry.allow(rule);
        entry.sent(first.len());
        if relay::write_all(upstream, &first).await.is_ok() {
            drop(first);
            // Either side may end as it likes; a bound that was passed is told by the entry.
            let _ = relay::both(&stream, upstream, &connection.meter, entry).await;
        }
        return;
    }
    let Ok(config) = connection.room.authority.server(&target.host) else { return };
    let stream = Metered::new(stream, Arc::clone(&connection.meter)).with_front(first);
    let accept = TlsAcceptor::from(config).accept(stream);
    let accepted = tokio::time::timeout(connection.room.limits().handshake, accept).await;
    if let Ok(Ok(stream)) = accepted {
        return requests(connection, plan, stream, true).await;
    }
    let why = "the program did not take the certificate that this sandbox is to trust";
    entry.refuse(&Refusal::bad("client_tls", why));
}

/// Requests inside of the tunnel.
async fn requests(
    connection: &Arc<Connection>,
    plan: Plan,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    encrypted: bool,
) {
    // Its requests tell for themselves, and without one it is only kept.
    let Plan { target, route, upstream, entry, .. } = plan;
    drop((upstream, entry));
    let destination = Destination { target, encrypted, route: Some(route) };
    let service = service_fn(|request| {
        let (connection, destination) = (Arc::clone(connection), &destination);
        async move { Ok::<_, Infallible>(answer(&connection, destination, request).await) }
    });
    let server = outer::server(connection.room.limits());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        outer::malformed(connection, &destination.target.to_string(), &error);
    }
}

async fn answer(
    connection: &Arc<Connection>,
    destination: &Destination,
    request: Request<Incoming>,
) -> Response<Body> {
    let entry = Entry::new(connection, &destination.target.to_string())
        .asked(request.method().as_str(), request.uri().path());
    if request.uri().authority().is_some() || request.uri().scheme().is_some() {
        let why = "inside of a tunnel the request line names the path alone";
        let refusal = Refusal::bad("absolute_form", why);
        entry.refuse(&refusal);
        return outer::refused(connection, &refusal).await;
    }
    exchange::run(connection, destination, entry, request).await
}
