//! Blobs in a folder: `ab/abcdef…`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;

use super::{BlobError, Blobs};

/// The blobs in `blobs/` of a data directory.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    root: PathBuf,
}

impl FolderBlobs {
    /// The blobs under `root`, which is made at the first put.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

#[async_trait]
impl Blobs for FolderBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Sha256, BlobError> {
        todo!()
    }

    async fn put_file(&self, file: &Path) -> Result<Sha256, BlobError> {
        todo!()
    }

    async fn get(&self, id: &Sha256) -> Result<Bytes, BlobError> {
        todo!()
    }

    async fn exists(&self, id: &Sha256) -> Result<bool, BlobError> {
        todo!()
    }

    async fn file(&self, id: &Sha256) -> Result<PathBuf, BlobError> {
        todo!()
    }
}
