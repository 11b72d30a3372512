//! Blobs in a folder: `ab/abcdef…`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::ids::Sha256;

use super::{BlobError, Blobs, MAX_BLOB_BYTES, check_size, digest_of, io_failure};
use crate::{digest, disk, random};

/// How much of a file is in memory while it is copied or checked.
const BUFFER: usize = 256 * 1024;

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

    fn path(&self, id: &Sha256) -> PathBuf {
        self.root.join(&id.as_str()[..2]).join(id.as_str())
    }

    fn put_now(&self, bytes: &[u8]) -> Result<Sha256, BlobError> {
        let id = digest_of(bytes);
        let path = self.path(&id);
        // A damaged file of that name is put right.
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64)
            && digest_of_file(&path).is_ok_and(|found| found == id)
        {
            return self.settle(&path).map(|()| id);
        }
        let mut temporary = Temporary::create(&self.root)?;
        temporary.write(bytes)?;
        self.keep(temporary, &path)?;
        Ok(id)
    }

    fn put_file_now(&self, source: &Path) -> Result<Sha256, BlobError> {
        let mut file = File::open(source).map_err(|error| io_failure(source, error))?;
        let mut temporary = Temporary::create(&self.root)?;
        let mut context = digest::start();
        let mut buffer = vec![0; BUFFER];
        let mut total = 0;
        loop {
            let read = file.read(&mut buffer).map_err(|error| io_failure(source, error))?;
            if read == 0 {
                break;
            }
            total += read as u64;
            check_size(total)?;
            context.update(&buffer[..read]);
            temporary.write(&buffer[..read])?;
        }
        let id = digest::finish(context.finish());
        self.keep(temporary, &self.path(&id))?;
        Ok(id)
    }

    /// Gives a written file its name. Whoever sees the name sees all bytes.
    fn keep(&self, mut temporary: Temporary, path: &Path) -> Result<(), BlobError> {
        temporary.file.sync_all().map_err(|error| io_failure(&temporary.path, error))?;
        let folder = path.parent().unwrap_or(&self.root);
        if !folder.exists() {
            fs::create_dir_all(folder).map_err(|error| io_failure(folder, error))?;
            disk::sync_directory(&self.root).map_err(|error| io_failure(&self.root, error))?;
        }
        fs::rename(&temporary.path, path).map_err(|error| io_failure(path, error))?;
        temporary.kept = true;
        self.settle(path)
    }

    /// Makes sure that the name is on disk, also where another put is just giving it.
    fn settle(&self, path: &Path) -> Result<(), BlobError> {
        let folder = path.parent().unwrap_or(&self.root);
        disk::sync_directory(folder).map_err(|error| io_failure(folder, error))
    }

    fn get_now(&self, id: &Sha256) -> Result<Bytes, BlobError> {
        let path = self.path(id);
        let file = File::open(&path).map_err(|error| missing_or(id, &path, error))?;
        let mut bytes = Vec::new();
        file.take(MAX_BLOB_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| io_failure(&path, error))?;
        if digest_of(&bytes) == *id {
            Ok(bytes.into())
        } else {
            Err(BlobError::Damaged(id.clone()))
        }
    }

    fn file_now(&self, id: &Sha256) -> Result<PathBuf, BlobError> {
        let path = self.path(id);
        let found = digest_of_file(&path).map_err(|error| missing_or(id, &path, error))?;
        if found == *id { Ok(path) } else { Err(BlobError::Damaged(id.clone())) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let blobs = self.clone();
        match tokio::task::spawn_blocking(move || work(&blobs)).await {
            Ok(result) => result,
            Err(error) => Err(io_failure(&self.root, io::Error::other(error))),
        }
    }
}

#[async_trait]
impl Blobs for FolderBlobs {
    async fn put(&self, bytes: Bytes) -> Result<Sha256, BlobError> {
        check_size(bytes.len() as u64)?;
        self.blocking(move |blobs| blobs.put_now(&bytes)).await
    }

    async fn put_file(&self, file: &Path) -> Result<Sha256, BlobError> {
        let file = file.to_owned();
        self.blocking(move |blobs| blobs.put_file_now(&file)).await
    }

    async fn get(&self, id: &Sha256) -> Result<Bytes, BlobError> {
        let id = id.clone();
        self.blocking(move |blobs| blobs.get_now(&id)).await
    }

    async fn exists(&self, id: &Sha256) -> Result<bool, BlobError> {
        let path = self.path(id);
        self.blocking(move |_| path.try_exists().map_err(|error| io_failure(&path, error))).await
    }

    async fn file(&self, id: &Sha256) -> Result<PathBuf, BlobError> {
        let id = id.clone();
        self.blocking(move |blobs| blobs.file_now(&id)).await
    }
}

/// A file that goes away unless it is kept.
struct Temporary {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Temporary {
    fn create(root: &Path) -> Result<Self, BlobError> {
        let folder = root.join("incoming");
        fs::create_dir_all(&folder).map_err(|error| io_failure(&folder, error))?;
        let name = format!("{}-{:08x}", std::process::id(), random::draw());
        let path = folder.join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&path)
            .map_err(|error| io_failure(&path, error))?;
        Ok(Self { path, file, kept: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(|error| io_failure(&self.path, error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn missing_or(id: &Sha256, path: &Path, error: io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound {
        BlobError::Missing(id.clone())
    } else {
        io_failure(path, error)
    }
}

fn digest_of_file(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut context = digest::start();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest::finish(context.finish())),
            read => context.update(&buffer[..read]),
        }
    }
}
