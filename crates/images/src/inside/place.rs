//! Places below the root: found without ever leaving it, whatever links say.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Directories are opened to look things up in, not to be read.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Links lead inside, and nothing leads to another mount or process.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// The root that everything is looked up in.
pub struct Root(OwnedFd);

/// A place: its directory, and its name in it.
pub struct Place {
    pub parent: OwnedFd,
    pub name: CString,
}

impl Root {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY, Mode::empty())?))
    }

    /// The place of `path`, which is a list of plain names, at least one. Missing directories are
    /// made and told to `made` by their path.
    pub fn place(&self, path: &[&[u8]], mut made: impl FnMut(&[&[u8]])) -> io::Result<Place> {
        let (name, above) = path.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = match self.directory(above) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for length in 1..=above.len() {
                    self.make_missing(&above[..length], &mut made)?;
                }
                self.directory(above)?
            }
            other => other?,
        };
        Ok(Place { parent, name: CString::new(*name)? })
    }

    /// The place of `path` where its directory is there.
    pub fn existing(&self, path: &[&[u8]]) -> io::Result<Place> {
        let (name, above) = path.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Place { parent: self.directory(above)?, name: CString::new(*name)? })
    }

    /// A directory; the root itself for an empty path.
    pub fn directory(&self, path: &[&[u8]]) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b".".to_vec() } else { path.join(&b'/') };
        Ok(rustix::fs::openat2(&self.0, path, DIRECTORY, Mode::empty(), INSIDE)?)
    }

    /// Opens what is at `path` for reading, by links inside too; not what would wait.
    pub fn read(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(&self.0, path, flags, Mode::empty(), INSIDE)?)
    }

    fn make_missing(&self, path: &[&[u8]], made: &mut impl FnMut(&[&[u8]])) -> io::Result<()> {
        if self.directory(path).is_ok() {
            return Ok(());
        }
        let place = self.existing(path)?;
        rustix::fs::mkdirat(&place.parent, &place.name, Mode::from_raw_mode(0o755))?;
        made(path);
        Ok(())
    }
}

impl Place {
    /// What is there; the link itself, not what it leads to.
    pub fn kind(&self) -> io::Result<Option<FileType>> {
        match rustix::fs::statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what is there, if anything, with all that is in it.
    pub fn clear(&self) -> io::Result<()> {
        remove(self.parent.as_fd(), &self.name)
    }

    /// Opens the directory that is there.
    pub fn open_directory(&self) -> io::Result<OwnedFd> {
        open_directory(self.parent.as_fd(), &self.name)
    }
}

/// Opens a directory to be read and changed, not by a link.
pub fn open_directory(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Removes a file, link or tree; nothing where there is none.
pub fn remove(parent: impl AsFd, name: &CStr) -> io::Result<()> {
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let directory = open_directory(&parent, name)?;
    for child in names(&directory)? {
        remove(&directory, &child)?;
    }
    Ok(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
}

/// The names in a directory, all before any is acted on.
pub fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut all = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            all.push(name);
        }
    }
    Ok(all)
}
