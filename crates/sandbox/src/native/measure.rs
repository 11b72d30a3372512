//! How much lies in an upper: a walk of any depth with one descriptor, which follows nothing.
//!
//! What a sandbox hid would not count against its limits: in directories deeper than descriptors
//! reach, or closed to the user that looks.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use quire_domain::sandbox::UpperUse;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::changes::open_directory;

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// Bytes on disk, files and directories.
    pub used: UpperUse,
    /// Whether something could not be looked at: there is this much at least.
    pub partly: bool,
}

/// A directory that is being walked.
struct Level {
    /// What tells it from others.
    id: (u64, u64),
    /// Its directories that were not looked at yet.
    left: Vec<CString>,
}

/// Adds up a directory, at most `most` entries of it. Others may write to it meanwhile.
pub fn measure(directory: &OwnedFd, most: u64) -> io::Result<Measured> {
    let mut measured = Measured::default();
    let mut current = open_directory(directory, ".")?;
    let mut levels = vec![level(&current, &mut measured, most)?];
    while let Some(last) = levels.last_mut() {
        if measured.used.files >= most {
            measured.partly = true;
            break;
        }
        if let Some(name) = last.left.pop() {
            match open_directory(&current, &*name) {
                Ok(inner) => {
                    levels.push(level(&inner, &mut measured, most)?);
                    current = inner;
                }
                // Removed just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => measured.partly = true,
            }
            continue;
        }
        levels.pop();
        let Some(parent) = levels.last() else { break };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let up = rustix::fs::openat(&current, c"..", flags, Mode::empty());
        match up {
            Ok(up) if rustix::fs::fstat(&up).is_ok_and(|stat| id(&stat) == parent.id) => {
                current = up;
            }
            // It was moved: what is left counts the next time.
            _ => {
                measured.partly = true;
                break;
            }
        }
    }
    Ok(measured)
}

fn level(directory: &OwnedFd, measured: &mut Measured, most: u64) -> io::Result<Level> {
    let own = rustix::fs::fstat(directory)?;
    let mut left = Vec::new();
    for entry in Dir::read_from(directory)? {
        let Ok(entry) = entry else { break };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if measured.used.files >= most {
            break;
        }
        match look(directory, name) {
            Ok(stat) => {
                measured.used.files += 1;
                measured.used.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    left.push(name.to_owned());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => measured.partly = true,
        }
    }
    Ok(Level { id: id(&own), left })
}

fn look(directory: impl AsFd, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn id(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_thousands_of_levels_deep_counts_and_a_bound_holds() {
        let place = tempfile::tempdir().unwrap();
        let top: OwnedFd = std::fs::File::open(place.path()).unwrap().into();
        let mut at = open_directory(&top, ".").unwrap();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&at, c"d", Mode::RWXU).unwrap();
            rustix::fs::symlinkat("/", &at, c"root").unwrap();
            at = open_directory(&at, c"d").unwrap();
        }
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let file = rustix::fs::openat(&at, c"f", flags, Mode::RUSR).unwrap();
        rustix::io::write(&file, &vec![1; 1 << 20]).unwrap();
        rustix::fs::fsync(&file).unwrap();
        let measured = measure(&top, u64::MAX).unwrap();
        assert_eq!(measured.used.files, 6_001);
        assert!(measured.used.bytes >= 1 << 20 && !measured.partly);
        let some = measure(&top, 100).unwrap();
        assert!(some.partly && some.used.files == 100);
    }
}
