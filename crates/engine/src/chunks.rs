//! Chunks: the complete output of commands, in files that survive a crash.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use quire_domain::ids::{AttemptId, ChunkId};
use quire_domain::journal::{ChunkReader, ChunkSummary, ChunkWriter, JournalError};

/// All chunks of a data directory, under `chunks/<attempt>/`.
#[derive(Clone)]
pub struct Chunks {
    root: PathBuf,
    random: Arc<dyn Fn() -> u32 + Send + Sync>,
}

/// The chunks that one attempt may write and read. Cheap to clone.
#[derive(Clone)]
pub struct AttemptChunks {
    chunks: Chunks,
    attempt: AttemptId,
    continued: Arc<[AttemptId]>,
}

/// A piece of a chunk, by byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where in the command's output it begins; above what was asked where that was not kept.
    pub offset: u64,
    /// Its bytes; empty where there are no more by now.
    pub bytes: Bytes,
}

/// Takes what must not be recorded out of a command's output, as it comes.
pub trait Redactor: Send {
    /// Appends to `out` what may be recorded of what came so far. May hold back an end that could
    /// be the beginning of a secret.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Appends what was held back.
    fn finish(&mut self, out: &mut Vec<u8>);
}

impl Chunks {
    /// The chunks under `root`, which is made at the first chunk.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), random: Arc::new(|| 0) }
    }

    /// The same, with the numbers that ids are made from given by `random`.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Fn() -> u32 + Send + Sync>) -> Self {
        self.random = random;
        self
    }

    /// The chunks of `attempt`, which may also read those of the attempts it continues.
    pub fn of(&self, attempt: AttemptId, continued: Vec<AttemptId>) -> AttemptChunks {
        AttemptChunks { chunks: self.clone(), attempt, continued: continued.into() }
    }
}

impl AttemptChunks {
    /// Starts a chunk under a new id. At most `cap_bytes` of the output are kept.
    pub async fn create(&self, cap_bytes: u64) -> Result<Box<dyn ChunkWriter>, JournalError> {
        todo!()
    }

    /// As [`AttemptChunks::create`], with what is recorded going through `redactor` first.
    pub async fn create_redacted(
        &self,
        cap_bytes: u64,
        redactor: Box<dyn Redactor>,
    ) -> Result<Box<dyn ChunkWriter>, JournalError> {
        todo!()
    }

    /// Opens a chunk, finished or growing, of this attempt or one it continues.
    pub async fn read(&self, id: &ChunkId) -> Result<Box<dyn ChunkReader>, JournalError> {
        todo!()
    }

    /// At most `limit` bytes from `offset` of the output on, of a chunk that may still grow.
    pub async fn piece(
        &self,
        id: &ChunkId,
        offset: u64,
        limit: usize,
    ) -> Result<Piece, JournalError> {
        todo!()
    }

    /// The chunks of this attempt that were begun and not finished: by the death of a worker, if
    /// nobody writes them now.
    pub async fn unfinished(&self) -> Result<Vec<ChunkId>, JournalError> {
        todo!()
    }

    /// Finishes a chunk whose writer is gone, with what is there. Of a finished one it gives the
    /// summary again.
    pub async fn finish_interrupted(&self, id: &ChunkId) -> Result<ChunkSummary, JournalError> {
        todo!()
    }
}
