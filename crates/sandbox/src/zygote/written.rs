//! Opening what only the zygote may: files of ids it maps, whatever their modes.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens what is at `path` below `dir`: regular files and directories to be read, of all else what
/// names it. Never through a link: the tree was written by a sandbox. Gives the error's number.
pub(super) fn open(dir: &Path, path: &[u8]) -> Result<OwnedFd, i32> {
    let open = || -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, dir, flags, Mode::empty())?;
        let named = below(&dir, path, OFlags::PATH)?;
        match FileType::from_raw_mode(rustix::fs::fstat(&named)?.st_mode) {
            FileType::RegularFile => below(&dir, path, OFlags::RDONLY | OFlags::NONBLOCK),
            FileType::Directory => below(&dir, path, OFlags::RDONLY | OFlags::DIRECTORY),
            _ => Ok(named),
        }
    };
    open().map_err(Errno::raw_os_error)
}

fn below(dir: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    rustix::fs::openat2(
        dir,
        OsStr::from_bytes(path),
        flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    )
}
