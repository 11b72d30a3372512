//! The contract of the recorder: what happened is written down here, outside the sandbox.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventBody};
use crate::ids::{CallId, ChunkId, Seq, Sha256};

/// The log of one attempt, its chunks and its blobs, held by the one worker that claimed it.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends events in order. On disk when it returns: all of them or none.
    async fn append(&self, bodies: Vec<EventBody>) -> Result<Seq, JournalError>;

    /// All events so far, oldest first, large bodies opened.
    async fn events(&self) -> Result<Vec<Event>, JournalError>;

    /// Keeps bytes under their SHA-256. On disk when it returns.
    async fn put_blob(&self, bytes: Bytes) -> Result<Sha256, JournalError>;

    /// Opens a blob.
    async fn blob(&self, id: &Sha256) -> Result<Bytes, JournalError>;

    /// Starts a chunk under a new id, unique in this attempt and those it continues.
    async fn open_chunk(&self) -> Result<Box<dyn ChunkWriter>, JournalError>;

    /// Reads a chunk of this attempt or of one it continues, while it grows or after.
    async fn chunk(&self, id: &ChunkId) -> Result<Box<dyn ChunkReader>, JournalError>;

    /// An event as it may be recorded: known secrets are taken out. What goes on from the event
    /// goes on from this, so that a resumed attempt knows the same.
    fn recordable(&self, body: EventBody) -> EventBody {
        body
    }

    /// The command of this number in the attempt's sandbox prints to `chunk`: what it asks of the
    /// network is told as its own. Not stored; must not block.
    fn runs(&self, chunk: &ChunkId, number: u64) {
        let _ = (chunk, number);
    }

    /// Shows something to whoever watches. Not stored; must not block.
    fn live(&self, live: Live);
}

/// Takes the output of one command. Bytes are in the file, not yet synced, when `write` returns:
/// they survive a crash of the process.
#[async_trait]
pub trait ChunkWriter: Send + Sync {
    /// The chunk's id.
    fn id(&self) -> &ChunkId;

    /// Adds bytes. Past the cap only the newest end is kept and lines go on being counted.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError>;

    /// What the last `write` or `settle` recorded, where that is not what it was given: known
    /// secrets are taken out, and an end that could be the beginning of one waits for more.
    fn recorded(&self) -> Option<&[u8]> {
        None
    }

    /// Records what waits, as no more comes for now.
    async fn settle(&mut self) -> Result<(), JournalError> {
        Ok(())
    }

    /// What has been written so far.
    fn so_far(&self) -> ChunkSize;

    /// Ends the chunk: synced, with its line index and digest.
    async fn finish(self: Box<Self>) -> Result<ChunkSummary, JournalError>;
}

/// How much a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChunkSize {
    /// Bytes printed, kept or not.
    pub bytes: u64,
    /// Lines printed, kept or not; a last line without newline counts.
    pub lines: u64,
}

/// A chunk that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkSummary {
    /// Its id.
    pub id: ChunkId,
    /// How much was printed.
    pub size: ChunkSize,
    /// Digest of the bytes that were kept.
    pub sha256: Sha256,
    /// The lines that were not kept (first and last, from 1), as the output was above the cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<(u64, u64)>,
}

/// Reads a chunk.
#[async_trait]
pub trait ChunkReader: Send + Sync {
    /// How much there is by now.
    fn size(&self) -> ChunkSize;

    /// The bytes of lines `first..=last`, counted from 1, newlines included; at most `limit`
    /// bytes. Fewer where the chunk ends earlier or the lines were not kept.
    async fn lines(&self, first: u64, last: u64, limit: usize) -> Result<Bytes, JournalError>;

    /// Digest of the bytes that were kept; of an unfinished chunk, of those so far.
    async fn sha256(&self) -> Result<Sha256, JournalError>;

    /// The lines that were not kept, if any.
    fn not_kept(&self) -> Option<(u64, u64)>;
}

/// Something to show at once and not to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "live", rename_all = "snake_case")]
pub enum Live {
    /// A piece of the model's words.
    Text {
        /// The piece.
        text: String,
    },
    /// A piece of a reasoning summary.
    Reasoning {
        /// The piece.
        text: String,
    },
    /// The model is asked again; what was shown of this reply is void.
    Retry {
        /// Why.
        why: String,
        /// Milliseconds until then.
        after_ms: u64,
    },
    /// What the attempt's base or environment waits for, in a few words: told over and over while
    /// an image comes in.
    Preparing {
        /// What.
        text: String,
    },
    /// A piece of a command's output, cut at 4 KiB.
    Output {
        /// The chunk it belongs to.
        chunk: ChunkId,
        /// The call that started the command, if a model did.
        call_id: Option<CallId>,
        /// The piece, decoded lossily.
        text: String,
    },
}

/// Why something could not be written down or read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another worker holds the attempt now: stop at once and write nothing more.
    #[error("the attempt was taken over by another worker")]
    Fenced,
    /// Nothing is kept under that name.
    #[error("there is no {what} `{id}`")]
    Missing {
        /// `blob` or `chunk`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// What was read is not what was written.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("cannot reach the record")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}
