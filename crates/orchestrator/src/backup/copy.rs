//! Copying files with their digests, from a directory in which others are at work.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use quire_domain::ids::Sha256;
use sha2::Digest;

use super::BackupError;
use super::manifest::Described;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Copies `from/part` to `into/part`, whatever of it is there, and describes each file. What goes
/// meanwhile is not missed: nothing that is copied names it. Of a git repository the refs are
/// copied before the objects they name.
pub(super) fn tree(
    from: &Path,
    part: &Path,
    into: &Path,
    files: &mut Vec<Described>,
) -> Result<(), BackupError> {
    let source = from.join(part);
    let entries = match fs::read_dir(&source) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::file("read", &source)(error)),
    };
    new_dir(&into.join(part))?;
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        names.push(entry.map_err(BackupError::file("read", &source))?.file_name());
    }
    names.sort_by_key(|name| (name == "objects", name.clone()));
    for name in names {
        let path = part.join(&name);
        let source = from.join(&path);
        let kind = match fs::symlink_metadata(&source) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(BackupError::file("read", &source)(error)),
        };
        if kind.is_dir() {
            tree(from, &path, into, files)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&source).map_err(BackupError::file("read", &source))?;
            let copied = into.join(&path);
            std::os::unix::fs::symlink(&target, &copied)
                .map_err(BackupError::file("write", &copied))?;
            files.push(Described { path, bytes: 0, sha256: Sha256::zero(), link: Some(target) });
        } else if kind.is_file()
            && let Some((bytes, sha256)) = file(&source, &into.join(&path))?
        {
            files.push(Described { path, bytes, sha256, link: None });
        }
    }
    Ok(())
}

/// Copies one file with its mode; `None` if it is gone.
fn file(from: &Path, to: &Path) -> Result<Option<(u64, Sha256)>, BackupError> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::file("read", from)(error)),
    };
    let found = source.metadata().map_err(BackupError::file("read", from))?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(BackupError::file("write", to))?;
    // What is appended from here on belongs to the next backup.
    let digest = digest(&mut (&mut source).take(found.len()), |piece| target.write_all(piece));
    let digest = digest.map_err(BackupError::file("copy", from))?;
    target
        .set_permissions(fs::Permissions::from_mode(found.permissions().mode() & 0o777))
        .and_then(|()| target.sync_data())
        .map_err(BackupError::file("write", to))?;
    Ok(Some(digest))
}

/// Size and digest of what is read; each piece is handed to `with`.
fn digest(
    source: &mut impl Read,
    mut with: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(u64, Sha256)> {
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => return Ok((bytes, Sha256::from_bytes(&hasher.finalize().into()))),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = piece.get(..read).unwrap_or_default();
        hasher.update(part);
        with(part)?;
        bytes += read as u64;
    }
}

/// Describes files that stand in `dir` already.
pub(super) fn described(dir: &Path, names: &[&str]) -> Result<Vec<Described>, BackupError> {
    names.iter().map(|name| describe(dir, Path::new(name))).collect()
}

fn describe(dir: &Path, path: &Path) -> Result<Described, BackupError> {
    let at = dir.join(path);
    let read = File::open(&at).and_then(|mut file| digest(&mut file, |_| Ok(())));
    let (bytes, sha256) = read.map_err(BackupError::file("read", &at))?;
    Ok(Described { path: path.to_owned(), bytes, sha256, link: None })
}

/// Whether a file is what the manifest says.
pub(super) fn is_as_described(path: &Path, said: &Described) -> Result<bool, BackupError> {
    if let Some(target) = &said.link {
        return Ok(fs::read_link(path).is_ok_and(|found| found == *target));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == said.bytes => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(BackupError::file("read", path)(error)),
    }
    let mut file = File::open(path).map_err(BackupError::file("read", path))?;
    let found = digest(&mut file, |_| Ok(())).map_err(BackupError::file("read", path))?;
    Ok(found == (said.bytes, said.sha256.clone()))
}

/// Refuses a place where something is.
pub(super) fn refuse_occupied(path: &Path) -> Result<(), BackupError> {
    let free = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if free { Ok(()) } else { Err(BackupError::Occupied { path: path.to_owned() }) }
}

/// A place beside another, for what is not finished.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

/// An empty directory, where an earlier try may have left one.
pub(super) fn start_over(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(BackupError::file("remove", path)(error));
        }
        _ => {}
    }
    new_dir(path)
}

/// What was finished takes its name.
pub(super) fn put_in_place(partial: &Path, to: &Path) -> Result<(), BackupError> {
    // An empty directory may stand there; renaming takes its place.
    fs::rename(partial, to).map_err(BackupError::file("write", to))?;
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(BackupError::file("write", parent))?;
    }
    Ok(())
}

fn new_dir(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(BackupError::file("make", path))
}

/// Writes a small file, on disk when it returns.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::file("write", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(BackupError::file("write", path))
}
