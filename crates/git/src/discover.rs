//! Finds the repository that a path lies in, without starting git.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::GitError;

/// Where the parts of a checkout lie. All paths absolute and canonical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The root of the working tree.
    pub top_level: PathBuf,
    /// Its own git directory: index and HEAD.
    pub git_dir: PathBuf,
    /// The git directory it shares with other working trees: objects and refs.
    pub common_dir: PathBuf,
}

/// Looks at `path` and above it.
pub(crate) fn discover(path: &Path) -> Result<Found, GitError> {
    let start = path.canonicalize().map_err(GitError::io("open", path))?;
    for dir in start.ancestors() {
        if let Some(git_dir) = git_dir_of(&dir.join(".git")) {
            let common_dir = common_dir_of(&git_dir)?;
            return Ok(Found { top_level: dir.to_owned(), git_dir, common_dir });
        }
        if is_git_dir(dir) {
            if dir.file_name() == Some(OsStr::new(".git")) {
                continue;
            }
            return Err(GitError::Bare { path: dir.to_owned() });
        }
    }
    Err(GitError::NotARepository { path: start })
}

fn is_git_dir(dir: &Path) -> bool {
    std::fs::symlink_metadata(dir.join("HEAD")).is_ok()
        && (dir.join("commondir").is_file() || dir.join("objects").is_dir())
        && (dir.join("commondir").is_file() || dir.join("refs").is_dir())
}

/// `.git` is the directory, a link to it, or a file that names it.
fn git_dir_of(dot_git: &Path) -> Option<PathBuf> {
    let meta = std::fs::metadata(dot_git).ok()?;
    if meta.is_dir() {
        return is_git_dir(dot_git).then(|| dot_git.canonicalize().ok())?;
    }
    if meta.len() > 8192 {
        return None;
    }
    let text = std::fs::read(dot_git).ok()?;
    let named = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    let dir = dot_git.parent()?.join(OsStr::from_bytes(named));
    is_git_dir(&dir).then(|| dir.canonicalize().ok())?
}

fn common_dir_of(git_dir: &Path) -> Result<PathBuf, GitError> {
    match std::fs::read(git_dir.join("commondir")) {
        Ok(text) => {
            let dir = git_dir.join(OsStr::from_bytes(text.trim_ascii_end()));
            dir.canonicalize().map_err(GitError::io("open the git directory", &dir))
        }
        Err(_) => Ok(git_dir.to_owned()),
    }
}
