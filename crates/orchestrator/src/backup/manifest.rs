//! The list of what a backup holds.

use std::path::{Path, PathBuf};

use quire_domain::ids::Sha256;
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupError, copy};

/// The manifest's name in a backup.
pub(super) const NAME: &str = "quire-backup.json";

/// What a backup holds, and when it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of Quire that took it.
    pub version: String,
    /// When that began.
    pub taken_at: Timestamp,
    /// Every file but this one.
    pub files: Vec<Described>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Where, relative to the backup.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its content.
    pub sha256: Sha256,
    /// Where it leads, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBuf>,
}

impl Manifest {
    pub(super) fn write(&self, backup: &Path) -> Result<(), BackupError> {
        let path = backup.join(NAME);
        // Paths that are not UTF-8 are none of ours: the layout has ids and digests.
        let text = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::other)
            .map_err(BackupError::file("describe", &path))?;
        copy::write_synced(&path, &text)
    }

    /// Reads the manifest of a backup.
    pub fn read(backup: &Path) -> Result<Self, BackupError> {
        let not = |why: String| BackupError::NotABackup { path: backup.to_owned(), why };
        let text =
            std::fs::read(backup.join(NAME)).map_err(|error| not(format!("{NAME}: {error}")))?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| not(format!("{NAME}: {error}")))?;
        for file in &manifest.files {
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            if !file.path.components().all(plain) {
                return Err(not(format!("{NAME} names {}", file.path.display())));
            }
        }
        Ok(manifest)
    }
}

/// Reads all of a backup and compares it with its manifest. About the speed of the disk.
pub fn check(backup: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(backup)?;
    for file in &manifest.files {
        let path = backup.join(&file.path);
        if !copy::is_as_described(&path, file)? {
            return Err(BackupError::Changed { path });
        }
    }
    Ok(manifest)
}
