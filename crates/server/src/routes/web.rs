//! The web page: its files, and the page itself at every address that a person may open.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::access::value_of;

/// What `cargo xtask web` built. A release holds it; a debug build reads it from the disk, so that
/// the page can be built again without the server. Empty where it was not built.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// What the page may do: what comes from this server. Pictures of a prompt are shown from memory.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// Said where the page was not built.
const ABSENT: &str = include_str!("page/absent.html");

/// The cookie that the page keeps its theme in: `light` or `dark`.
const THEME: &str = "quire_theme";

/// A file of the page, or the page itself; `None` if this is nothing a browser opens.
pub(super) fn answer(request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return None;
    }
    let headers = request.headers();
    let name = path.trim_start_matches('/');
    if kind_of(name).is_some() {
        return Dist::get(name).map(|file| one_file(name, &file, headers));
    }
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|kinds| kinds.contains("text/html")).then(|| page(headers))
}

/// The page, with the theme in it before anything is drawn.
fn page(headers: &HeaderMap) -> Response {
    let Some(file) = Dist::get("index.html") else {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        return (StatusCode::OK, [kind], ABSENT).into_response();
    };
    let theme = match value_of(headers, THEME) {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    };
    let tag = format!("\"{}{theme}\"", hex(&file.metadata.sha256_hash()));
    let mut response = if unchanged(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if theme.is_empty() {
        file.data.into_owned().into_response()
    } else {
        let text = String::from_utf8_lossy(&file.data);
        text.replacen("<html", &format!("<html data-theme=\"{theme}\""), 1).into_response()
    };
    let told = response.headers_mut();
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    told.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    told.insert(header::VARY, HeaderValue::from_static("cookie"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        told.insert(header::ETAG, tag);
    }
    response
}

/// A file: those whose names carry their hash are kept for ever, the others asked for again.
fn one_file(name: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let small = takes_brotli(headers).then(|| Dist::get(&format!("{name}.br"))).flatten();
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    let mut response = if unchanged(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let data = small.as_ref().map_or(&file.data, |small| &small.data);
        Body::from(data.clone().into_owned()).into_response()
    };
    let told = response.headers_mut();
    if small.is_some() {
        told.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    let kind = kind_of(name).unwrap_or("application/octet-stream");
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let fixed = name.starts_with("assets/");
    let keep = if fixed { "public, max-age=31536000, immutable" } else { "no-cache" };
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        told.insert(header::ETAG, tag);
    }
    response
}

/// The media type by the end of the name; `None` of what the page does not consist of.
fn kind_of(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let sent = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    sent.is_some_and(|kinds| kinds.split(',').any(|kind| kind.trim() == "br"))
}

fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    let sent = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    sent.is_some_and(|tags| tags.split(',').any(|sent| sent.trim().trim_start_matches("W/") == tag))
}

/// The first eight bytes: enough to tell two builds apart.
fn hex(hash: &[u8; 32]) -> String {
    hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
