//! Finds the repository that a path lies in, without starting git.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
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
    let text = read_small(dot_git).ok()?;
    let named = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    let dir = dot_git.parent()?.join(OsStr::from_bytes(named));
    is_git_dir(&dir).then(|| dir.canonicalize().ok())?
}

/// A file of one line. Whoever owns the directory may have put a pipe or a device there, which
/// would keep a reader for ever.
fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    const MOST_BYTES: u64 = 8192;
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::File::options().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn common_dir_of(git_dir: &Path) -> Result<PathBuf, GitError> {
    let named = git_dir.join("commondir");
    match read_small(&named) {
        Ok(text) => {
            let dir = git_dir.join(OsStr::from_bytes(text.trim_ascii_end()));
            dir.canonicalize().map_err(GitError::io("open the git directory", &dir))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(git_dir.to_owned()),
        // Git would read it as well.
        Err(error) => Err(GitError::io("read", &named)(error)),
    }
}
