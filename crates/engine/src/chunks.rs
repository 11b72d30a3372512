//! Chunks: the complete output of commands, in files that survive a crash.

mod part;
mod reader;
mod reading;
mod recording;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use quire_domain::ids::{AttemptId, ChunkId};
use quire_domain::journal::{ChunkReader, ChunkSummary, ChunkWriter, JournalError};

use crate::{disk, random};
use reader::FileReader;
use reading::Reading;
use recording::Recording;
use writer::FileWriter;

/// How often an id is drawn before we give up: with 10,000 chunks of 16 million possible ones,
/// two draws in a row meet one in three million times.
const DRAWS: u32 = 64;

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
pub trait Redactor: Send + Sync {
    /// Appends to `out` what may be recorded of what came so far. May hold back an end that could
    /// be the beginning of a secret.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// Appends what was held back.
    fn finish(&mut self, out: &mut Vec<u8>);
}

impl Chunks {
    /// The chunks under `root`, which is made at the first chunk.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), random: Arc::new(random::draw) }
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
    /// Starts a chunk under a new id. At most `cap_bytes` of the output are kept: the start and
    /// the newest end.
    pub async fn create(&self, cap_bytes: u64) -> Result<Box<dyn ChunkWriter>, JournalError> {
        self.begin(cap_bytes, None).await
    }

    /// As [`AttemptChunks::create`], with what is recorded going through `redactor` first.
    pub async fn create_redacted(
        &self,
        cap_bytes: u64,
        redactor: Box<dyn Redactor>,
    ) -> Result<Box<dyn ChunkWriter>, JournalError> {
        self.begin(cap_bytes, Some(redactor)).await
    }

    async fn begin(
        &self,
        cap_bytes: u64,
        redactor: Option<Box<dyn Redactor>>,
    ) -> Result<Box<dyn ChunkWriter>, JournalError> {
        let chunks = self.clone();
        let (id, recording) =
            disk::blocking(move || chunks.draw(cap_bytes)).await.map_err(failure)?;
        Ok(Box::new(FileWriter::new(id, recording, redactor)))
    }

    /// Makes the file of a chunk under an id that neither this attempt nor one it continues has.
    fn draw(&self, cap_bytes: u64) -> io::Result<(ChunkId, Recording)> {
        let folder = self.folder(self.attempt);
        for _ in 0..DRAWS {
            let id = ChunkId::from_random((self.chunks.random)());
            if self.continued.iter().any(|other| self.folder(*other).join(id.as_str()).exists()) {
                continue;
            }
            let path = folder.join(id.as_str());
            match Recording::create(id.clone(), path.clone(), cap_bytes) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    std::fs::create_dir_all(&folder)?;
                    disk::sync_directory(&self.chunks.root)?;
                    return Ok((id.clone(), Recording::create(id, path, cap_bytes)?));
                }
                made => return Ok((id, made?)),
            }
        }
        Err(io::Error::other("no chunk id is free"))
    }

    /// Opens a chunk, finished or growing, of this attempt or one it continues.
    pub async fn read(&self, id: &ChunkId) -> Result<Box<dyn ChunkReader>, JournalError> {
        let (chunks, wanted) = (self.clone(), id.clone());
        let opened =
            disk::blocking(move || chunks.find(&wanted)?.map(FileReader::open).transpose());
        match opened.await.map_err(failure)? {
            Some(reader) => Ok(Box::new(reader)),
            None => Err(missing(id)),
        }
    }

    /// At most `limit` bytes from `offset` of the output on, of a chunk that may still grow.
    pub async fn piece(
        &self,
        id: &ChunkId,
        offset: u64,
        limit: usize,
    ) -> Result<Piece, JournalError> {
        let (chunks, wanted) = (self.clone(), id.clone());
        let read = disk::blocking(move || {
            chunks.find(&wanted)?.map(|reading| reading.piece(offset, limit)).transpose()
        });
        match read.await.map_err(failure)? {
            Some((offset, bytes)) => Ok(Piece { offset, bytes: bytes.into() }),
            None => Err(missing(id)),
        }
    }

    /// The chunks of this attempt that were begun and not finished: by the death of a worker, if
    /// nobody writes them now.
    pub async fn unfinished(&self) -> Result<Vec<ChunkId>, JournalError> {
        let folder = self.folder(self.attempt);
        disk::blocking(move || {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut found = Vec::new();
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                if let Some(id) = name.to_str().and_then(|name| ChunkId::parse(name).ok())
                    && !Reading::new(entry.path()).finished()?
                {
                    found.push(id);
                }
            }
            found.sort();
            Ok(found)
        })
        .await
        .map_err(failure)
    }

    /// Finishes a chunk whose writer is gone, with what is there. Of a finished one it gives the
    /// summary again.
    pub async fn finish_interrupted(&self, id: &ChunkId) -> Result<ChunkSummary, JournalError> {
        let (wanted, path) = (id.clone(), self.folder(self.attempt).join(id.as_str()));
        let finished = disk::blocking(move || {
            path.try_exists()?.then(|| recording::finish_interrupted(&wanted, &path)).transpose()
        });
        finished.await.map_err(failure)?.ok_or_else(|| missing(id))
    }

    /// Where a chunk is that may be read here.
    fn find(&self, id: &ChunkId) -> io::Result<Option<Reading>> {
        for attempt in [self.attempt].iter().chain(self.continued.iter()) {
            let path = self.folder(*attempt).join(id.as_str());
            if path.try_exists()? {
                return Ok(Some(Reading::new(path)));
            }
        }
        Ok(None)
    }

    fn folder(&self, attempt: AttemptId) -> PathBuf {
        self.chunks.root.join(attempt.to_string())
    }
}

fn missing(id: &ChunkId) -> JournalError {
    JournalError::Missing { what: "chunk", id: id.to_string() }
}

fn failure(error: io::Error) -> JournalError {
    if disk::is_full(&error) { JournalError::DiskFull } else { JournalError::Io(Box::new(error)) }
}
