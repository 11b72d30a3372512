//! A bare repository of ours: a mirror, or the results of a task.

use std::path::{Path, PathBuf};

use crate::error::GitError;

/// A bare repository of ours, to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    git_dir: PathBuf,
    object_format: ObjectFormat,
}

/// How a repository names its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// By 40 hex digits.
    Sha1,
    /// By 64 hex digits.
    Sha256,
}

impl ObjectFormat {
    /// Of an object name.
    pub(crate) fn of(oid: &str) -> Self {
        if oid.len() == 64 { Self::Sha256 } else { Self::Sha1 }
    }
}

impl Repository {
    pub(crate) fn at(git_dir: PathBuf, object_format: ObjectFormat) -> Self {
        Self { git_dir, object_format }
    }

    /// Its directory.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Where its objects lie.
    pub fn objects_dir(&self) -> PathBuf {
        self.git_dir.join("objects")
    }

    /// How its objects are named.
    pub fn object_format(&self) -> ObjectFormat {
        self.object_format
    }
}

/// The settings of every repository of ours; the same go into the working trees we make.
pub(crate) fn base_settings(object_format: ObjectFormat, bare: bool) -> String {
    let (version, extension) = match object_format {
        ObjectFormat::Sha1 => (0, ""),
        ObjectFormat::Sha256 => (1, "[extensions]\n\tobjectFormat = sha256\n"),
    };
    format!(
        "[core]\n\trepositoryFormatVersion = {version}\n\tfileMode = true\n\tbare = {bare}\n\
         {extension}[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    )
}

/// Makes an empty bare repository in `dir`, which must not hold one: what `git init` would do,
/// without its templates. `alternates` are other objects directories it may read.
pub(crate) fn make_bare(
    dir: &Path,
    object_format: ObjectFormat,
    alternates: &[PathBuf],
) -> Result<(), GitError> {
    make_objects(&dir.join("objects"), alternates)?;
    for name in ["refs/heads", "refs/tags"] {
        let path = dir.join(name);
        std::fs::create_dir_all(&path).map_err(GitError::io("make the directory", &path))?;
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(GitError::io("write", &path))
    };
    write("config", base_settings(object_format, true).as_bytes())?;
    // Last: without it git does not take the directory for a repository.
    write("HEAD", b"ref: refs/heads/none\n")
}

/// An empty directory of objects, from which those of `alternates` are read as well.
pub(crate) fn make_objects(dir: &Path, alternates: &[PathBuf]) -> Result<(), GitError> {
    use std::os::unix::ffi::OsStrExt;
    for name in ["info", "pack"] {
        let path = dir.join(name);
        std::fs::create_dir_all(&path).map_err(GitError::io("make the directory", &path))?;
    }
    if alternates.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for path in alternates {
        text.extend_from_slice(&alternate_line(path.as_os_str().as_bytes()));
        text.push(b'\n');
    }
    let path = dir.join(ALTERNATES);
    std::fs::write(&path, &text).map_err(GitError::io("write", &path))
}

/// Names other directories of objects, below one.
pub(crate) const ALTERNATES: &str = "info/alternates";

/// A path as `objects/info/alternates` names it: in quotes where a newline would end it.
fn alternate_line(path: &[u8]) -> Vec<u8> {
    if !path.contains(&b'\n') {
        return path.to_vec();
    }
    let mut line = vec![b'"'];
    for byte in path {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', *byte]),
            _ => line.push(*byte),
        }
    }
    line.push(b'"');
    line
}
