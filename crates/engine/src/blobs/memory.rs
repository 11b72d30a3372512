//! Blobs in memory: for tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;

use super::{BlobError, Blobs, check_size, digest_of, io_failure};

/// Blobs that end with the process; [`Blobs::file`] alone writes them out, into a folder under
/// the system's temporary directory that the value removes when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    blobs: Mutex<HashMap<Sha256, Bytes>>,
    files: Mutex<Option<PathBuf>>,
}

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, HashMap<Sha256, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> Result<PathBuf, BlobError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*files {
            return Ok(folder.clone());
        }
        let name = format!("quire-blobs-{}-{:08x}", std::process::id(), crate::random::draw());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).map_err(|error| io_failure(&folder, error))?;
        Ok(files.insert(folder).clone())
    }
}

impl Drop for MemoryBlobs {
    fn drop(&mut self) {
        let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = files.take() {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Sha256, BlobError> {
        check_size(bytes.len() as u64)?;
        let id = digest_of(&bytes);
        self.blobs().entry(id.clone()).or_insert(bytes);
        Ok(id)
    }

    async fn put_file(&self, file: &Path) -> Result<Sha256, BlobError> {
        let bytes = std::fs::read(file).map_err(|error| io_failure(file, error))?;
        self.put(bytes.into()).await
    }

    async fn get(&self, id: &Sha256) -> Result<Bytes, BlobError> {
        self.blobs().get(id).cloned().ok_or_else(|| BlobError::Missing(id.clone()))
    }

    async fn exists(&self, id: &Sha256) -> Result<bool, BlobError> {
        Ok(self.blobs().contains_key(id))
    }

    async fn file(&self, id: &Sha256) -> Result<PathBuf, BlobError> {
        let bytes = self.get(id).await?;
        let file = self.folder()?.join(id.as_str());
        std::fs::write(&file, bytes).map_err(|error| io_failure(&file, error))?;
        Ok(file)
    }
}
