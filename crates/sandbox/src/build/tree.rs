//! Finding and making places below the new root: links lead nowhere but inside.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// What is to be found at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// Opens `path` below `root` as a place to mount on, and makes what is missing of it.
pub fn place(root: impl AsFd, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let relative = relative(path);
    match open(&root, &relative) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        other => return other,
    }
    let mut parent = PathBuf::new();
    let parts: Vec<_> = relative.components().collect();
    for (index, part) in parts.iter().enumerate() {
        let holder = open(&root, &parent)?;
        let made = if kind == Kind::File && index + 1 == parts.len() {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&holder, part.as_os_str(), flags, Mode::from_raw_mode(0o644))
                .map(drop)
        } else {
            rustix::fs::mkdirat(&holder, part.as_os_str(), Mode::from_raw_mode(0o755))
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                // A read-only parent may already have it; opening tells.
                let mut next = parent.clone();
                next.push(part);
                if open(&root, &next).is_err() {
                    return Err(error.into());
                }
            }
        }
        parent.push(part);
    }
    open(&root, &relative)
}

/// Opens what is at `path` below `root`, as a place only.
pub fn open(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let relative = relative(path);
    let path = if relative.as_os_str().is_empty() { Path::new(".") } else { &relative };
    Ok(rustix::fs::openat2(
        root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )?)
}

/// The path without a leading slash, `.` and `..`.
pub fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}
