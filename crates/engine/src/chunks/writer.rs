//! Writing a chunk without holding up the runtime.

use std::io;

use async_trait::async_trait;
use quire_domain::ids::ChunkId;
use quire_domain::journal::{ChunkSize, ChunkSummary, ChunkWriter, JournalError};
use tokio::task::JoinHandle;

use super::recording::Recording;
use super::{Redactor, failure};
use crate::disk;

/// Up to here a write goes to the page cache at once: microseconds. Behind it somebody prints a
/// lot, the kernel may make writers wait for the disk, and another thread does it.
const INLINE_BYTES: u64 = 1024 * 1024;

/// A chunk that is being written.
pub(super) struct FileWriter {
    id: ChunkId,
    state: State,
    size: ChunkSize,
    redactor: Option<Box<dyn Redactor>>,
    /// What the redactor let through last.
    allowed: Vec<u8>,
    /// What is on its way to the other thread.
    buffer: Vec<u8>,
}

enum State {
    Here(Box<Recording>),
    /// Another thread writes. Kept here, not in the future that waits, so that a caller may stop
    /// waiting.
    There(JoinHandle<(Box<Recording>, Vec<u8>, io::Result<()>)>),
    /// The other thread is gone, which only the end of the runtime brings about.
    Lost,
}

impl FileWriter {
    pub(super) fn new(
        id: ChunkId,
        recording: Recording,
        redactor: Option<Box<dyn Redactor>>,
    ) -> Self {
        Self {
            id,
            state: State::Here(Box::new(recording)),
            size: ChunkSize::default(),
            redactor,
            allowed: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Waits for the other thread, if it writes.
    async fn settled(&mut self) -> io::Result<()> {
        if let State::There(handle) = &mut self.state {
            let ended = handle.await;
            self.state = State::Lost;
            let (recording, mut buffer, result) = ended.map_err(io::Error::other)?;
            buffer.clear();
            self.size = recording.size();
            self.buffer = buffer;
            self.state = State::Here(recording);
            result?;
        }
        Ok(())
    }

    async fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.settled().await?;
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Here(mut recording) if self.size.bytes + (bytes.len() as u64) < INLINE_BYTES => {
                let result = recording.write(bytes);
                self.size = recording.size();
                self.state = State::Here(recording);
                result
            }
            State::Here(mut recording) => {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.clear();
                buffer.extend_from_slice(bytes);
                self.state = State::There(tokio::task::spawn_blocking(move || {
                    let result = recording.write(&buffer);
                    (recording, buffer, result)
                }));
                self.settled().await
            }
            _ => Err(io::Error::other("the chunk's writer is gone")),
        }
    }

    /// Records what the redactor holds back.
    async fn let_go(&mut self) -> io::Result<()> {
        let Some(redactor) = &mut self.redactor else { return Ok(()) };
        let mut rest = std::mem::take(&mut self.allowed);
        rest.clear();
        redactor.finish(&mut rest);
        let recorded = if rest.is_empty() { Ok(()) } else { self.record(&rest).await };
        self.allowed = rest;
        recorded
    }

    async fn end(mut self) -> io::Result<ChunkSummary> {
        self.let_go().await?;
        self.settled().await?;
        match self.state {
            State::Here(recording) => disk::blocking(move || recording.finish()).await,
            _ => Err(io::Error::other("the chunk's writer is gone")),
        }
    }
}

#[async_trait]
impl ChunkWriter for FileWriter {
    fn id(&self) -> &ChunkId {
        &self.id
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(redactor) = &mut self.redactor else {
            return self.record(bytes).await.map_err(failure);
        };
        let mut allowed = std::mem::take(&mut self.allowed);
        allowed.clear();
        redactor.push(bytes, &mut allowed);
        let recorded = self.record(&allowed).await;
        self.allowed = allowed;
        recorded.map_err(failure)
    }

    fn recorded(&self) -> Option<&[u8]> {
        self.redactor.is_some().then_some(self.allowed.as_slice())
    }

    async fn settle(&mut self) -> Result<(), JournalError> {
        self.let_go().await.map_err(failure)
    }

    fn so_far(&self) -> ChunkSize {
        self.size
    }

    async fn finish(self: Box<Self>) -> Result<ChunkSummary, JournalError> {
        self.end().await.map_err(failure)
    }
}
