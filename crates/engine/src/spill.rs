//! Large event bodies: kept as a blob, with the event naming it.

use bytes::Bytes;
use quire_domain::ids::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::blobs::{BlobError, Blobs};

/// The largest body that stands in an event itself: 64 KiB.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The text of an event's body, its inner part unread.
#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// What stands in the place of an inner part that is kept as a blob.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(rename = "$blob")]
    blob: Sha256,
    bytes: u64,
}

/// Gives a body as it is to be hashed and stored: as it is, or where `body` (the text of
/// `{"kind": …, "body": …}`) is above [`MAX_EVENT_BYTES`], with the inner body in a blob and
/// `{"$blob": <sha256>, "bytes": <n>}` in its place. The blob is on disk when it returns.
///
/// A large text of another form stays as it is: it is of a kind this version does not write.
pub async fn spill(blobs: &dyn Blobs, body: String) -> Result<String, BlobError> {
    if body.len() <= MAX_EVENT_BYTES {
        return Ok(body);
    }
    let Ok(whole) = serde_json::from_str::<Whole<'_>>(&body) else { return Ok(body) };
    let inner = whole.body.get();
    let place = Place {
        blob: blobs.put(Bytes::copy_from_slice(inner.as_bytes())).await?,
        bytes: inner.len() as u64,
    };
    Ok(serde_json::json!({ "kind": whole.kind, "body": place }).to_string())
}

/// Undoes [`spill`]. The inner body comes back byte for byte.
pub async fn restore(blobs: &dyn Blobs, body: String) -> Result<String, BlobError> {
    // The marker is short, so a long text cannot be one.
    if body.len() > 1024 || !body.contains("\"$blob\"") {
        return Ok(body);
    }
    let Ok(whole) = serde_json::from_str::<Whole<'_>>(&body) else { return Ok(body) };
    let Ok(place) = serde_json::from_str::<Place>(whole.body.get()) else { return Ok(body) };
    let bytes = blobs.get(&place.blob).await?;
    let damaged = || BlobError::Damaged(place.blob.clone());
    let inner = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let raw: &RawValue = serde_json::from_str(inner).map_err(|_| damaged())?;
    serde_json::to_string(&Whole { kind: whole.kind, body: raw }).map_err(|_| damaged())
}
