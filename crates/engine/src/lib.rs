//! Event log, bus, blobs and chunks on one machine, behind contracts that a cluster can keep too.
//!
//! [`EventLog`], [`Bus`] and [`Blobs`] are contracts; [`LocalLog`], [`LocalBus`] and
//! [`FolderBlobs`] keep them for one machine, [`MemoryLog`] and [`MemoryBlobs`] for tests.
//! [`Dispatch`] is kept by whoever has the store. [`Chunks`] are files of the worker that made them.

mod blobs;
mod bus;
mod chunks;
mod digest;
mod disk;
mod dispatch;
mod log;
mod random;
mod redaction;
mod spill;

pub use blobs::{BlobError, Blobs, FolderBlobs, MAX_BLOB_BYTES, MemoryBlobs};
pub use bus::{Bus, Heard, LiveFeed, LocalBus};
pub use chunks::{AttemptChunks, Chunks, Piece, Redactor};
pub use dispatch::{Claimed, Dispatch, DispatchError, Handed, Offer, Pool};
pub use log::{EventLog, Head, LocalLog, LogError, MemoryLog, StoredEvent, Watch};
pub use redaction::{Redaction, Stream, WORD, why_not};
pub use spill::{MAX_EVENT_BYTES, restore, spill};
