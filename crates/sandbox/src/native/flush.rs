//! Bringing an upper to the disk, at a cost of what was written to it.
//!
//! `syncfs` waits for everything that anybody has written to the file system: a build beside it
//! makes freezing one file take as long as the build's output. One file after the other takes a
//! tenth of a millisecond each. So few are synced by themselves, and many together.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::changes::open_directory;

/// Entries up to which each is synced by itself: 15 ms, where `syncfs` takes 1 ms on a disk that
/// nobody else writes to and 200 ms and more beside a build.
const FEW: usize = 128;

/// The deepest directory that is gone into.
const DEPTH: usize = 64;

/// Has all that lies below each of `layers` on disk when it returns. `upper` is on the same file
/// system.
pub fn flush(upper: &OwnedFd, layers: impl Iterator<Item = String>) -> io::Result<()> {
    let mut written = Vec::new();
    for layer in layers {
        let few = match open_directory(upper, layer.as_str()) {
            Ok(directory) => gather(directory, &mut written, 0),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !few {
            // Too many, or closed to us.
            return Ok(rustix::fs::syncfs(upper)?);
        }
    }
    for file in &written {
        begin(file);
    }
    for file in &written {
        rustix::fs::fsync(file)?;
    }
    Ok(rustix::fs::fsync(upper)?)
}

/// Opens a directory's files and directories; whether it could open all and they are few.
fn gather(directory: OwnedFd, into: &mut Vec<OwnedFd>, depth: usize) -> bool {
    let Ok(listing) = Dir::read_from(&directory) else { return false };
    for entry in listing {
        let Ok(entry) = entry else { return false };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(stat) = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        let opened = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth < DEPTH => open_directory(&directory, name),
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                rustix::fs::openat(&directory, name, flags, Mode::empty()).map_err(Into::into)
            }
            FileType::Directory => return false,
            // They have no content: the directory that names them is synced.
            _ => continue,
        };
        let Ok(opened) = opened else { return false };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            if !gather(opened, into, depth + 1) {
                return false;
            }
        } else {
            into.push(opened);
        }
        if into.len() > FEW {
            return false;
        }
    }
    into.push(directory);
    into.len() <= FEW
}

/// Has a file written out without waiting for it, so that waiting for all of them is waiting once.
fn begin(file: &OwnedFd) {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the descriptor is open; nothing but numbers is passed.
    unsafe {
        libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}
