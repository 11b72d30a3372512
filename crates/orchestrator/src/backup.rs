//! Backups: everything that cannot be made again, taken while tasks are at work, and verified.
//!
//! A backup is a directory with the data directory's own layout and a manifest of what is in it. The
//! store is taken before the logs and the logs before what they name, so that whatever a later part
//! lacks no earlier part speaks of: a log may know more than the store, never less. What is cache
//! (layers, snapshots, images, sandboxes) is left out; an attempt that was at work goes on from its
//! last checkpoint.

mod copy;
mod manifest;
mod restore;

use std::path::{Path, PathBuf};

use quire_domain::time::Timestamp;
use quire_engine::{LocalLog, LogError};
use quire_store::{Store, StoreError};

pub use self::manifest::{Manifest, check};
pub use self::restore::restore;

/// What is copied of a data directory after its two databases, in this order.
const PARTS: [&str; 8] =
    ["chunks", "blobs", "evidence", "checkpoints", "captures", "results", "mirrors", "keys"];

/// What a backup came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Files, the databases included.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why no backup was taken or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error("cannot {what} {path}", path = path.display())]
    File {
        /// What was being done, e.g. `write`.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is something already.
    #[error("{path} is there already and not empty: name a place that is new", path = path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// The directory holds no backup, or not all of one.
    #[error("{path} is no backup: {why}", path = path.display())]
    NotABackup {
        /// The directory.
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// A file is not what was backed up.
    #[error("{path} was changed or cut since the backup was taken: use another backup", path = path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// The store.
    #[error("cannot take the store")]
    Store(#[from] StoreError),
    /// The logs.
    #[error("cannot take the event logs")]
    Log(#[from] LogError),
    /// Work on another thread broke off.
    #[error("the copying broke off")]
    Broken(#[from] tokio::task::JoinError),
}

impl BackupError {
    fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// Takes a backup of `data_dir` into the new directory `to`; whoever works there goes on meanwhile.
/// Nothing stands at `to` unless all of it was taken and read back.
pub async fn take(
    data_dir: &Path,
    to: &Path,
    version: &str,
    now: Timestamp,
) -> Result<Taken, BackupError> {
    copy::refuse_occupied(to)?;
    let partial = copy::beside(to, "partial");
    copy::start_over(&partial)?;
    let taken = take_into(data_dir, &partial, version, now).await;
    if taken.is_err() {
        // What went wrong is what the person has to hear.
        let _ = std::fs::remove_dir_all(&partial);
        return taken;
    }
    copy::put_in_place(&partial, to)?;
    taken
}

async fn take_into(
    data_dir: &Path,
    to: &Path,
    version: &str,
    now: Timestamp,
) -> Result<Taken, BackupError> {
    Store::copy(&data_dir.join("quire.db"), &to.join("quire.db")).await?;
    LocalLog::copy(&data_dir.join("events.db"), &to.join("events.db")).await?;
    let (from, into, version) = (data_dir.to_owned(), to.to_owned(), version.to_owned());
    tokio::task::spawn_blocking(move || {
        let mut files = copy::described(&into, &["quire.db", "events.db"])?;
        for part in PARTS {
            copy::tree(&from, Path::new(part), &into, &mut files)?;
        }
        let manifest = Manifest { version, taken_at: now, files };
        manifest.write(&into)?;
        // What stands on the disk is what counts.
        manifest::check(&into)?;
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        Ok(Taken { files: manifest.files.len() as u64, bytes })
    })
    .await?
}
