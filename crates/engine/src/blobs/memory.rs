//! Blobs in memory: for tests.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;

use super::{BlobError, Blobs};

/// Blobs that end with the process.
#[derive(Debug, Default)]
pub struct MemoryBlobs {}

#[async_trait]
impl Blobs for MemoryBlobs {
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
