//! Remembers what was captured, so that the same uncommitted files are not read twice.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quire_domain::ids::{CommitId, Sha256 as Digest256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::GitError;
use crate::index::Index;
use crate::inspect::Checkout;
use crate::mirror::{Mirror, write_whole};
use crate::path::RepoPath;

/// A capture as it is kept in the mirror, under the digest of what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The commit.
    pub base: CommitId,
    /// What the uncommitted files became.
    pub files: Vec<CapturedFile>,
}

/// A file of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CapturedFile {
    /// Its path's bytes.
    pub path: Vec<u8>,
    /// Its blob and modification time; `None` if it is gone or empty.
    pub content: Option<(Vec<u8>, (u32, u32))>,
}

/// By what the uncommitted files are known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    digest: Digest256,
    /// Whether no file was changed so lately that another change could look the same.
    is_quiet: bool,
}

const REMEMBERED_FILES: usize = 5_000;
const REMEMBERED_CAPTURES: usize = 64;
/// File systems keep times in steps; two changes within one cannot be told apart.
const STEP: Duration = Duration::from_millis(100);

impl Fingerprint {
    /// Of the files at `paths`, by everything but their content; `None` if they are too many.
    pub(crate) fn of(checkout: &Checkout, paths: &[RepoPath]) -> Option<Self> {
        if paths.len() > REMEMBERED_FILES {
            return None;
        }
        let quiet_before = SystemTime::now().checked_sub(STEP)?.duration_since(UNIX_EPOCH).ok()?;
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(checkout.head.as_str().as_bytes());
        for (name, value) in &checkout.settings {
            field(name.as_bytes());
            field(value.as_bytes());
        }
        let mut is_quiet = true;
        for path in paths {
            field(path.as_bytes());
            let meta = std::fs::symlink_metadata(checkout.top_level.join(path.as_path()));
            let Ok(meta) = meta else {
                field(b"gone");
                continue;
            };
            let changed = Duration::new(
                u64::try_from(meta.ctime()).ok()?,
                u32::try_from(meta.ctime_nsec()).ok()?,
            );
            is_quiet &= changed < quiet_before;
            for number in [
                i128::from(meta.dev()),
                i128::from(meta.ino()),
                i128::from(meta.size()),
                i128::from(meta.mode()),
                i128::from(meta.mtime()),
                i128::from(meta.mtime_nsec()),
                i128::from(meta.ctime()),
                i128::from(meta.ctime_nsec()),
            ] {
                field(&number.to_be_bytes());
            }
        }
        Some(Self { digest: Digest256::from_bytes(&hasher.finalize().into()), is_quiet })
    }

    fn file(&self, mirror: &Mirror) -> PathBuf {
        captures_dir(mirror).join(self.digest.as_str())
    }

    /// What was captured from just these files, if it is remembered. Its store may be gone.
    pub(crate) fn recall(&self, mirror: &Mirror) -> Option<Remembered> {
        let bytes = std::fs::read(self.file(mirror)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Remembers what was captured from these files, where they were quiet when they were looked
    /// at.
    pub(crate) fn remember(&self, mirror: &Mirror, capture: &Remembered) -> Result<(), GitError> {
        if !self.is_quiet {
            return Ok(());
        }
        let dir = captures_dir(mirror);
        std::fs::create_dir_all(&dir).map_err(GitError::io("make the directory", &dir))?;
        let json = serde_json::to_vec(capture)
            .map_err(|e| GitError::malformed("a capture", e.to_string()))?;
        write_whole(&self.file(mirror), &json)?;
        forget_old(&dir);
        Ok(())
    }
}

impl Remembered {
    /// From the index in which the files at `paths` were captured.
    pub(crate) fn of(base: CommitId, paths: &[RepoPath], index: &Index) -> Self {
        let entries = index.entries();
        let files = paths
            .iter()
            .map(|path| {
                let found = entries.binary_search_by(|entry| entry.path.cmp(path)).ok();
                let known = found.map(|at| &entries[at]).filter(|entry| entry.size != 0);
                let content = known.map(|entry| (entry.oid.clone(), entry.mtime));
                CapturedFile { path: path.as_bytes().to_vec(), content }
            })
            .collect();
        Self { base, files }
    }
}

fn captures_dir(mirror: &Mirror) -> PathBuf {
    mirror.repository.git_dir().join("quire/captures")
}

/// A capture that is forgotten costs reading its files once more.
fn forget_old(dir: &Path) {
    let Ok(listing) = std::fs::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = listing
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    if files.len() > REMEMBERED_CAPTURES {
        files.sort();
        for (_, path) in &files[..files.len() - REMEMBERED_CAPTURES] {
            let _ = std::fs::remove_file(path);
        }
    }
}
