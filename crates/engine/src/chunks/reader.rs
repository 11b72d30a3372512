//! A chunk as the citations and the tools read it.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;
use quire_domain::journal::{ChunkReader, ChunkSize, JournalError};

use super::failure;
use super::reading::Reading;
use crate::disk;

/// A chunk that may still grow.
pub(super) struct FileReader {
    reading: Reading,
    /// As it was when it was opened: for good, if it was finished.
    opened: (ChunkSize, Option<(u64, u64)>),
    finished: bool,
}

impl FileReader {
    /// Blocking.
    pub(super) fn open(reading: Reading) -> io::Result<Self> {
        let finished = reading.finished()?;
        let opened = (reading.size()?, reading.not_kept()?);
        Ok(Self { reading, opened, finished })
    }
}

#[async_trait]
impl ChunkReader for FileReader {
    /// Counts at most 64 KiB.
    fn size(&self) -> ChunkSize {
        if self.finished { self.opened.0 } else { self.reading.size().unwrap_or(self.opened.0) }
    }

    async fn lines(&self, first: u64, last: u64, limit: usize) -> Result<Bytes, JournalError> {
        let reading = self.reading.clone();
        let read = disk::blocking(move || reading.lines(first, last, limit)).await;
        read.map(Bytes::from).map_err(failure)
    }

    async fn sha256(&self) -> Result<Sha256, JournalError> {
        let reading = self.reading.clone();
        disk::blocking(move || reading.sha256()).await.map_err(failure)
    }

    fn not_kept(&self) -> Option<(u64, u64)> {
        if self.finished { self.opened.1 } else { self.reading.not_kept().unwrap_or(self.opened.1) }
    }
}
