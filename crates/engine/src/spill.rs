//! Large event bodies: kept as a blob, with the event naming it.

use crate::blobs::{BlobError, Blobs};

/// The largest body that stands in an event itself: 64 KiB.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Gives a body as it is to be hashed and stored: as it is, or where `body` (the text of
/// `{"kind": …, "body": …}`) is above [`MAX_EVENT_BYTES`], with the inner body in a blob and
/// `{"$blob": <sha256>, "bytes": <n>}` in its place. The blob is on disk when it returns.
pub async fn spill(blobs: &dyn Blobs, body: String) -> Result<String, BlobError> {
    todo!()
}

/// Undoes [`spill`]: the same text that was spilled, byte for byte.
pub async fn restore(blobs: &dyn Blobs, body: String) -> Result<String, BlobError> {
    todo!()
}
