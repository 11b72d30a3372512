//! One request that is looked at: judged, sent on, answered.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, Version};

use crate::body::{Body, Way};
use crate::connection::Connection;
use crate::decide::{self, Allowed, Asked};
use crate::dial;
use crate::entry::Entry;
use crate::headers;
use crate::origin::BEFORE_ANSWER;
use crate::outer;
use crate::refusal::Refusal;
use crate::upstream::{Destination, Upstream};

/// Judges `request`, and sends it to its destination if it may go there.
pub(crate) async fn run(
    connection: &Arc<Connection>,
    destination: &Destination,
    entry: Arc<Entry>,
    request: Request<Incoming>,
) -> Response<Body> {
    match exchange(connection, destination, &entry, request).await {
        Ok(response) => response,
        Err(refusal) => {
            entry.refuse(&refusal);
            outer::refused(connection, &refusal).await
        }
    }
}

async fn exchange(
    connection: &Arc<Connection>,
    destination: &Destination,
    entry: &Arc<Entry>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let room = &connection.room;
    let target = &destination.target;
    let needs_host = request.version() == Version::HTTP_11;
    headers::check_host(request.headers(), target, needs_host)?;
    headers::check_framing(request.headers())?;
    headers::check_upgrade(request.headers())?;
    let asked = Asked {
        target,
        method: request.method(),
        path: request.uri().path(),
        encrypted: destination.encrypted,
    };
    let private = room.private(target);
    let allowed = decide::request(&room.policy, private, asked)?;
    if allowed.looked_inside {
        headers::check_overrides(request.headers())?;
    }
    entry.allow(&allowed.rule);

    let mut upstream = far_end(connection, destination).await?;
    let mut request = rewritten(destination, &allowed, entry, request);
    for again in [true, false] {
        address(&mut request, connection, destination, upstream.by_parent);
        let sent = send(connection, entry, &mut upstream, request).await?;
        match sent {
            Sent::Answered(response) => {
                let response = answered(connection, entry, response)?;
                connection.origin.within(BEFORE_ANSWER).await;
                connection.set_upstream(upstream);
                return Ok(response);
            }
            // The far end had closed a connection that was kept: nothing of the request left.
            Sent::Unsent(unsent) if again => {
                request = unsent;
                upstream = open(connection, destination).await?;
            }
            Sent::Unsent(_) => break,
        }
    }
    Err(Refusal::upstream("upstream", format!("{target} closes connections at once")))
}

/// The connection of the request before, or a new one.
async fn far_end(connection: &Connection, destination: &Destination) -> Result<Upstream, Refusal> {
    if let Some(mut upstream) = connection.take_upstream().filter(|it| it.fits(destination)) {
        let ready = upstream.sender.ready();
        let limit = connection.room.limits().handshake;
        if matches!(tokio::time::timeout(limit, ready).await, Ok(Ok(()))) {
            return Ok(upstream);
        }
    }
    open(connection, destination).await
}

async fn open(connection: &Connection, destination: &Destination) -> Result<Upstream, Refusal> {
    let shared = &connection.room.shared;
    let target = &destination.target;
    let route = match &destination.route {
        Some(route) => route.clone(),
        None => dial::route(shared, connection.room.private(target), target).await?,
    };
    Upstream::open(shared, &route, destination).await
}

/// The request as it leaves, but for its address.
fn rewritten(
    destination: &Destination,
    allowed: &Allowed<'_>,
    entry: &Arc<Entry>,
    request: Request<Incoming>,
) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    entry.sent(
        head_bytes(&parts.headers) + parts.uri.path_and_query().map_or(1, |it| it.as_str().len()),
    );
    headers::strip_hop(&mut parts.headers);
    for credential in &allowed.credentials {
        parts.headers.insert(credential.header().clone(), credential.value().reveal().clone());
    }
    let target = &destination.target;
    let default = if destination.encrypted { 443 } else { 80 };
    let host = if target.port == default { target.host.clone() } else { target.to_string() };
    // A host that was parsed is plain ASCII.
    if let Ok(host) = HeaderValue::from_str(&host) {
        parts.headers.insert(header::HOST, host);
    }
    parts.version = Version::HTTP_11;
    Request::from_parts(parts, Body::carried(body, Arc::clone(entry), Way::Out))
}

/// Names what the far end needs to be told: the path alone, or everything if it is a proxy.
fn address(
    request: &mut Request<Body>,
    connection: &Connection,
    destination: &Destination,
    by_parent: bool,
) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let text =
        if by_parent { format!("http://{}{path}", destination.target) } else { path.to_owned() };
    if let Ok(uri) = text.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    let parent = connection.room.shared.settings.parent.as_ref().filter(|_| by_parent);
    if let Some(authorization) = parent.and_then(|parent| parent.authorization.as_ref()) {
        request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.reveal().clone());
    }
}

enum Sent {
    Answered(Response<Incoming>),
    Unsent(Request<Body>),
}

async fn send(
    connection: &Connection,
    entry: &Entry,
    upstream: &mut Upstream,
    request: Request<Body>,
) -> Result<Sent, Refusal> {
    let limit = connection.room.limits().answer;
    let sending = upstream.sender.try_send_request(request);
    tokio::pin!(sending);
    let mut sent_before = None;
    let result = loop {
        match tokio::time::timeout(limit, &mut sending).await {
            Ok(result) => break result,
            // A long body on its way is no silence.
            Err(_) if sent_before != Some(entry.sent_so_far()) => {
                sent_before = Some(entry.sent_so_far());
            }
            Err(_) => {
                return Err(Refusal::late("answer_timeout", "the host did not answer in time"));
            }
        }
    };
    match result {
        Ok(response) => Ok(Sent::Answered(response)),
        Err(mut error) => {
            if let Some(request) = error.take_message() {
                return Ok(Sent::Unsent(request));
            }
            let why = if error.into_error().is_parse() {
                "the host's answer is no HTTP that can be passed on"
            } else {
                "the host broke the connection off before it answered"
            };
            Err(Refusal::upstream("upstream", why))
        }
    }
}

/// The answer as it reaches the sandbox.
fn answered(
    connection: &Connection,
    entry: &Arc<Entry>,
    response: Response<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::upstream("upgrade", "the host left HTTP without being asked to"));
    }
    headers::check_framing(&parts.headers)
        .map_err(|_| Refusal::upstream("framing", "the host frames its answer ambiguously"))?;
    entry.received(head_bytes(&parts.headers));
    headers::strip_hop(&mut parts.headers);
    connection.room.scrub_all(&mut parts.headers);
    parts.version = Version::HTTP_11;
    // A reason phrase may say anything as well.
    parts.extensions.remove::<hyper::ext::ReasonPhrase>();
    Ok(Response::from_parts(parts, Body::carried(body, Arc::clone(entry), Way::In)))
}

/// About what the head takes on the wire.
fn head_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
