//! The headers of answers, and the host a request may name.

use std::sync::Arc;

use axum::extract::{Request, State as Given};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::Encrypted;
use crate::refusal::Refusal;
use crate::state::State;

/// What every answer says to a browser, unless it said something itself: nothing of it is run,
/// framed, guessed or kept.
const SAFE: [(header::HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

pub(crate) async fn safe_headers(request: Request, next: Next) -> Response {
    let seen = request.extensions().get::<Encrypted>().is_some_and(|it| it.0);
    let mut response = next.run(request).await;
    let told = response.extensions().get::<Encrypted>().is_some_and(|it| it.0);
    let encrypted = seen || told;
    if encrypted {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    for (name, value) in SAFE {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses a request that names a host which is not ours: a page of another origin that had its
/// own name point here.
pub(crate) async fn hosts(
    Given(state): Given<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    if state.settings.hosts.is_empty()
        || named(&request).is_some_and(|host| state.settings.hosts.contains(&host))
    {
        return next.run(request).await;
    }
    Refusal::new(
        quire_api::ProblemKind::NotAllowed,
        "the request names a host that is not this server's",
        "use the address that `quire serve` printed, or add the name to `serve.hosts`",
    )
    .into_response()
}

/// The host that a request names, lower case and without its port.
fn named(request: &Request) -> Option<String> {
    let host = match request.uri().host() {
        Some(host) => host,
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    };
    Some(bare.to_ascii_lowercase())
}
