//! Answers that are asked for over and over: a tag of what was sent, and nothing where it is still
//! the same.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quire_evidence::digest::sha256;
use serde::Serialize;

use crate::refusal::{Refusal, Result};

/// `value` as JSON with its tag; 304 where `headers` say that it is there already.
pub(crate) fn tagged(headers: &HeaderMap, value: &impl Serialize) -> Result<Response> {
    let body =
        serde_json::to_vec(value).map_err(|error| Refusal::internal("write the answer", &error))?;
    let digest = sha256(&body);
    let tag = format!("W/\"{}\"", &digest.as_str()[..32]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let same = known.flat_map(|value| value.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.trim_start_matches("W/") == tag.trim_start_matches("W/")
    });
    let tag = HeaderValue::from_str(&tag)
        .map_err(|error| Refusal::internal("write the answer", &error))?;
    // Asked again each time, and sent only where it differs.
    let kept = HeaderValue::from_static("private, no-cache");
    let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, kept)];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((headers, kind, body).into_response())
}
