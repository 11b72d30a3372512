//! The contract of the blobs: bytes under their SHA-256.

mod folder;
mod memory;

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;
use quire_domain::journal::JournalError;

pub use folder::FolderBlobs;
pub use memory::MemoryBlobs;

/// The largest blob: 256 MiB.
pub const MAX_BLOB_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes under their SHA-256. Putting the same bytes again changes nothing.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Keeps bytes. On disk when it returns.
    async fn put(&self, bytes: Bytes) -> Result<Sha256, BlobError>;

    /// Keeps a copy of a file. On disk when it returns. The file must not change meanwhile.
    async fn put_file(&self, file: &Path) -> Result<Sha256, BlobError>;

    /// Opens a blob; its digest is checked.
    async fn get(&self, id: &Sha256) -> Result<Bytes, BlobError>;

    /// Whether there is such a blob.
    async fn exists(&self, id: &Sha256) -> Result<bool, BlobError>;

    /// A file on this machine that holds the blob, to be read only; its digest is checked.
    async fn file(&self, id: &Sha256) -> Result<PathBuf, BlobError>;
}

/// Why a blob could not be kept or opened.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is none under that name.
    #[error("there is no blob {0}")]
    Missing(Sha256),
    /// What is kept does not have the digest it is kept under.
    #[error("blob {0} is damaged")]
    Damaged(Sha256),
    /// It is above [`MAX_BLOB_BYTES`].
    #[error("{bytes} bytes are too many for a blob")]
    TooLarge {
        /// Its size, as far as it was read.
        bytes: u64,
    },
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Reading or writing failed.
    #[error("cannot reach `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn check_size(bytes: u64) -> Result<(), BlobError> {
    if bytes > MAX_BLOB_BYTES { Err(BlobError::TooLarge { bytes }) } else { Ok(()) }
}

fn digest_of(bytes: &[u8]) -> Sha256 {
    crate::digest::finish(ring::digest::digest(&ring::digest::SHA256, bytes))
}

fn io_failure(path: &Path, error: io::Error) -> BlobError {
    if crate::disk::is_full(&error) {
        BlobError::DiskFull
    } else {
        BlobError::Io { path: path.to_owned(), source: error }
    }
}

impl From<BlobError> for JournalError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(id) => Self::Missing { what: "blob", id: id.to_string() },
            BlobError::Damaged(_) => Self::Damaged(error.to_string()),
            BlobError::DiskFull => Self::DiskFull,
            BlobError::TooLarge { .. } | BlobError::Io { .. } => Self::Io(Box::new(error)),
        }
    }
}
