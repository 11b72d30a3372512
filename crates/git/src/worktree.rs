//! Looks at files of a person's working tree without following any link.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::GitError;
use crate::path::RepoPath;
use crate::readings::ChangedPath;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    Absent,
    /// A regular file.
    File(FileSeen),
    /// A symbolic link.
    Link(FileSeen),
    /// A directory with files that stay, or a device or the like.
    Other,
    /// A directory above it is a link or a file.
    Blocked,
}

/// By what a file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct FileSeen {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, i64),
}

impl Seen {
    pub(crate) fn is_file_or_link(&self) -> bool {
        matches!(self, Self::File(_) | Self::Link(_))
    }

    /// By what the file is known again, if there is one.
    pub(crate) fn state(&self) -> Option<FileSeen> {
        match self {
            Self::File(state) | Self::Link(state) => Some(*state),
            Self::Absent | Self::Other | Self::Blocked => None,
        }
    }
}

impl FileSeen {
    /// Of what lies at `path`, not following a link.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        std::fs::symlink_metadata(path).ok().map(|meta| Self::from(&meta))
    }
}

impl From<&std::fs::Metadata> for FileSeen {
    fn from(meta: &std::fs::Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}

/// Looks at the path of every change below `top`.
pub(crate) fn look(
    top: &Path,
    changes: &[ChangedPath],
) -> Result<BTreeMap<RepoPath, Seen>, GitError> {
    let deleted: BTreeSet<&RepoPath> =
        changes.iter().filter(|c| c.new_mode == 0).map(|c| &c.path).collect();
    let mut seen = BTreeMap::new();
    for change in changes {
        if !change.path.is_safe() {
            return Err(GitError::Refused { why: format!("bad path `{}`", change.path) });
        }
        seen.insert(change.path.clone(), look_at(top, &change.path, &deleted)?);
    }
    Ok(seen)
}

fn look_at(top: &Path, path: &RepoPath, deleted: &BTreeSet<&RepoPath>) -> Result<Seen, GitError> {
    match blocking_parent(top, path) {
        // A file there that the change deletes is no obstacle: it goes first.
        Some(parent) if deleted.contains(&parent) => return Ok(Seen::Absent),
        Some(_) => return Ok(Seen::Blocked),
        None => {}
    }
    let full = top.join(path.as_path());
    let meta = match std::fs::symlink_metadata(&full) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Seen::Absent),
        Err(error) => return Err(GitError::io("look at", &full)(error)),
    };
    if meta.is_file() {
        Ok(Seen::File(FileSeen::from(&meta)))
    } else if meta.is_symlink() {
        Ok(Seen::Link(FileSeen::from(&meta)))
    } else if meta.is_dir() && only_holds(top, &full, deleted, 0) {
        Ok(Seen::Absent)
    } else {
        Ok(Seen::Other)
    }
}

/// The nearest directory above `path` that is no directory: a link, a file.
pub(crate) fn blocking_parent(top: &Path, path: &RepoPath) -> Option<RepoPath> {
    let bytes = path.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'/') {
        let parent = RepoPath::new(&bytes[..at]);
        match std::fs::symlink_metadata(top.join(parent.as_path())) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Some(parent),
            Err(_) => return None,
        }
    }
    None
}

/// Whether every file below `dir` is among `deleted`: then the directory goes with them.
fn only_holds(top: &Path, dir: &Path, deleted: &BTreeSet<&RepoPath>, depth: usize) -> bool {
    let Ok(listing) = std::fs::read_dir(dir) else { return false };
    depth < 200
        && listing.into_iter().all(|entry| {
            let Ok(entry) = entry else { return false };
            let path: PathBuf = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                return only_holds(top, &path, deleted, depth + 1);
            }
            let Ok(relative) = path.strip_prefix(top) else { return false };
            deleted.contains(&RepoPath::new(relative.as_os_str().as_encoded_bytes()))
        })
}
