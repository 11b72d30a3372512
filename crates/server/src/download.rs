//! Bytes that people take away: never shown, guessed or run by a browser.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// What a download is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text in UTF-8.
    Text,
    /// Anything.
    Bytes,
}

/// An answer that is kept as a file of this name. Beside its headers it gets those of every answer:
/// `nosniff` and a policy that lets nothing run.
pub(crate) fn download(kind: Kind, name: &str, body: impl Into<Body>) -> Response {
    let kind = match kind {
        Kind::Text => "text/plain; charset=utf-8",
        Kind::Bytes => "application/octet-stream",
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).take(120).collect();
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, body.into()).into_response()
}
