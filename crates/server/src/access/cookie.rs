//! The cookie of a browser that signed in.

use axum::http::{HeaderMap, HeaderValue, header};
use quire_domain::secret::Secret;

/// How long a browser stays signed in, in milliseconds: 30 days.
pub(crate) const SESSION_MILLIS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The names: over TLS one that no other host of the same domain can set.
fn name(encrypted: bool) -> &'static str {
    if encrypted { "__Host-quire_session" } else { "quire_session" }
}

/// What a request's cookie holds.
pub(crate) fn read(headers: &HeaderMap, encrypted: bool) -> Option<&str> {
    value_of(headers, name(encrypted))
}

/// What a request's cookie of this name holds.
pub(crate) fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// A cookie that scripts cannot read and other sites do not send along, but where a person follows
/// a link here.
pub(crate) fn set(secret: &Secret<String>, encrypted: bool) -> Option<HeaderValue> {
    let seconds = SESSION_MILLIS / 1000;
    header(name(encrypted), secret.reveal(), seconds, encrypted, "/")
}

/// Takes the cookie away.
pub(crate) fn clear(encrypted: bool) -> Option<HeaderValue> {
    header(name(encrypted), "", 0, encrypted, "/")
}

/// A `Set-Cookie` header. `value` is ours: base64 or nothing.
pub(crate) fn header(
    name: &str,
    value: &str,
    seconds: u64,
    encrypted: bool,
    path: &str,
) -> Option<HeaderValue> {
    let secure = if encrypted { "; Secure" } else { "" };
    let text =
        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
