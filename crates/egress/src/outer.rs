//! The proxy's own HTTP: requests that name a whole address, and CONNECT.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::body::Body;
use crate::connection::Connection;
use crate::decide::{self, Tunnel};
use crate::dial;
use crate::entry::Entry;
use crate::exchange;
use crate::headers;
use crate::limits::EgressLimits;
use crate::meter::Metered;
use crate::origin::BEFORE_REFUSAL;
use crate::refusal::Refusal;
use crate::target::{BadTarget, Target};
use crate::tunnel::{self, Plan};
use crate::upstream::Destination;

/// Headers of a request; a request with more is refused.
const MOST_HEADERS: usize = 200;

/// Longest text of a host that was none, in the audit.
const MOST_ODD_HOST: usize = 260;

/// How long, and how much, is read of a request that was refused before it was all there, so that
/// its sender reads the answer and not a reset.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Serves the connection's requests, and then its tunnel if one was asked for.
pub(crate) async fn run(connection: Arc<Connection>, stream: TcpStream) {
    let io = TokioIo::new(Metered::new(stream, Arc::clone(&connection.meter)));
    let service = service_fn(|request| {
        let connection = Arc::clone(&connection);
        async move { Ok::<_, Infallible>(answer(&connection, request).await) }
    });
    let served =
        server(connection.room.limits()).serve_connection(io, service).without_shutdown().await;
    match served {
        Ok(parts) => {
            let stream = parts.io.into_inner().into_inner();
            match connection.take_plan() {
                Some(plan) => tunnel::run(&connection, plan, stream, parts.read_buf).await,
                None => linger(stream).await,
            }
        }
        Err(error) => malformed(&connection, "(unreadable)", &error),
    }
}

/// How requests are read, outside and inside of tunnels.
pub(crate) fn server(limits: &EgressLimits) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MOST_HEADERS)
        .max_header_size(limits.head_bytes)
        .preserve_header_case(true)
        .auto_date_header(false)
        .half_close(true);
    server
}

/// Tells of bytes that were no request. The client was answered by the parser.
pub(crate) fn malformed(connection: &Arc<Connection>, host: &str, error: &hyper::Error) {
    if error.is_parse() {
        let why = "this is no HTTP/1.1 request, or its head is too long";
        Entry::new(connection, host).refuse(&Refusal::bad("malformed", why));
    }
}

async fn linger(mut stream: TcpStream) {
    if rustix::net::shutdown(&stream, rustix::net::Shutdown::Write).is_err() {
        return;
    }
    let drain = async {
        let mut buffer = [0; 4096];
        let mut read = 0;
        while read < LINGER_BYTES {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read += count,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

async fn answer(connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let is_connect = *request.method() == Method::CONNECT;
    let port = if is_connect { None } else { Some(80) };
    let target = match form(&request).and_then(|()| read_target(&authority, port)) {
        Ok(target) => target,
        Err(refusal) => {
            let odd: String = authority.escape_debug().take(MOST_ODD_HOST).collect();
            let host = if odd.is_empty() { "(none)" } else { &odd };
            let entry = Entry::new(connection, host);
            entry.refuse(&refusal);
            return refused(connection, &refusal).await;
        }
    };
    let entry = Entry::new(connection, &target.to_string());
    if !is_connect {
        let entry = entry.asked(request.method().as_str(), request.uri().path());
        let destination = Destination { target, encrypted: false, route: None };
        return exchange::run(connection, &destination, entry, request).await;
    }
    let entry = entry.asked_tunnel();
    match open_tunnel(connection, target, &entry, &request).await {
        Ok(plan) => {
            connection.set_plan(plan);
            Response::new(Body::Text(None))
        }
        Err(refusal) => {
            entry.refuse(&refusal);
            refused(connection, &refusal).await
        }
    }
}

/// Whether the request is one for a proxy at all.
fn form(request: &Request<Incoming>) -> Result<(), Refusal> {
    match (request.method() == Method::CONNECT, request.uri().scheme_str()) {
        (true, None) | (false, Some("http")) => Ok(()),
        (false, Some("https")) => {
            Err(Refusal::bad("https_without_tunnel", "ask for https by a tunnel (CONNECT)"))
        }
        (false, None) => Err(Refusal::bad(
            "no_proxy_request",
            "this is a proxy: the request line names the whole address, as in `GET http://host/`",
        )),
        (_, Some(_)) => Err(Refusal::bad("scheme", "this proxy speaks http and https alone")),
    }
}

fn read_target(authority: &str, port: Option<u16>) -> Result<Target, Refusal> {
    Target::parse(authority, port).map_err(|bad| match bad {
        BadTarget::Address => Refusal::denied(
            "address",
            "addresses are refused whatever the rules say: name the host",
        ),
        BadTarget::User => Refusal::bad("user", "an address with a user in front is refused"),
        BadTarget::Port => Refusal::bad("port", "the port is missing or no number"),
        BadTarget::Name => Refusal::bad("name", "this is no host name"),
    })
}

/// Decides about a tunnel, and connects it where nothing more has to be seen.
async fn open_tunnel(
    connection: &Arc<Connection>,
    target: Target,
    entry: &Arc<Entry>,
    request: &Request<Incoming>,
) -> Result<Plan, Refusal> {
    if !names_the_proxy(request) {
        headers::check_host(request.headers(), &target, false)?;
    }
    let shared = &connection.room.shared;
    let private = connection.room.private(&target);
    let way = decide::tunnel(&connection.room.policy, private, &target)?;
    let (Tunnel::Blind(rule) | Tunnel::Seen(rule)) = &way;
    entry.allow(rule);
    let route = dial::route(shared, private, &target).await?;
    let (rule, upstream) = match way {
        Tunnel::Blind(rule) => (Some(rule), Some(dial::dial(shared, &route, &target).await?)),
        Tunnel::Seen(_) => (None, None),
    };
    // What comes through the tunnel, or does not, tells for itself.
    entry.hush();
    Ok(Plan { target, route, rule, upstream, entry: Arc::clone(entry) })
}

/// Whether the `Host` of a CONNECT is the proxy's own. Node writes it so; it goes no further.
fn names_the_proxy(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    hosts.next().is_none() && matches!(name, "127.0.0.1" | "localhost")
}

/// An answer that says why not. It waits a moment for the command behind the connection to be
/// known: with the answer a program is often gone.
pub(crate) async fn refused(connection: &Connection, refusal: &Refusal) -> Response<Body> {
    connection.origin.within(BEFORE_REFUSAL).await;
    let mut response = Response::new(Body::text(refusal.text(connection.room.policy.setting)));
    *response.status_mut() = refusal.status;
    if let Ok(phrase) = ReasonPhrase::try_from(refusal.phrase()) {
        response.extensions_mut().insert(phrase);
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(marker(refusal), HeaderValue::from_static(refusal.reason));
    response
}

/// The same for a connection that no HTTP was spoken on yet.
pub(crate) fn raw_answer(refusal: &Refusal, setting: &str) -> Vec<u8> {
    let text = refusal.text(setting);
    let status = refusal.status;
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\n{}: {}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        status.as_u16(),
        refusal.phrase(),
        marker(refusal),
        refusal.reason,
        text.len(),
    )
    .into_bytes()
}

/// What tells an answer of ours from one of the host's.
fn marker(refusal: &Refusal) -> &'static str {
    if refusal.is_denial() || refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        "x-quire-denied"
    } else {
        "x-quire-failed"
    }
}
