//! Removing a tree of any depth with few descriptors and little stack.
//!
//! What a sandbox wrote may be tens of thousands of directories deep: going down into it runs out of
//! descriptors or stack, and the tree would never go. So what lies deep is moved to the top first.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// How far it is gone down: two descriptors each.
const DEPTH: u32 = 64;

/// Directories that may be filled again while they are emptied: then somebody writes there.
const LEFT: u32 = 1_000;

/// Names that are tried for what is moved to the top.
const TRIES: u32 = 1_000;

/// Removes a directory with all in it. Never follows a link.
pub(super) fn raze(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = rustix::fs::open(path, flags, Mode::empty())?;
    let mut raze = Raze { top: top.as_fd(), moved: 0, left: 0 };
    loop {
        let before = (raze.moved, raze.left);
        raze.empty(top.as_fd(), 0)?;
        // What was moved meanwhile may have been missed.
        if (raze.moved, raze.left) == before || raze.left > LEFT {
            return std::fs::remove_dir(path);
        }
    }
}

struct Raze<'a> {
    top: BorrowedFd<'a>,
    /// How many directories were moved to the top.
    moved: u32,
    /// How often one was not empty although all in it was removed.
    left: u32,
}

impl Raze<'_> {
    fn empty(&mut self, directory: BorrowedFd<'_>, depth: u32) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let may_be_directory =
                matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if !may_be_directory {
                gone(rustix::fs::unlinkat(directory, name, AtFlags::empty()))?;
                continue;
            }
            match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTDIR) => {
                    gone(rustix::fs::unlinkat(directory, name, AtFlags::empty()))?;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST) if depth >= DEPTH => {
                    self.move_up(directory, name)?;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    let inner = open(directory, name)?;
                    self.empty(inner.as_fd(), depth + 1)?;
                    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
                        // Listing it while it shrank passed over something: the next round.
                        Err(Errno::NOTEMPTY | Errno::EXIST) => self.left += 1,
                        removed => gone(removed)?,
                    }
                }
                removed => gone(removed)?,
            }
        }
        Ok(())
    }

    fn move_up(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        for _ in 0..TRIES {
            self.moved += 1;
            let new = format!(".deep-{}", self.moved);
            match rustix::fs::renameat(directory, name, self.top, new) {
                // What lies there has that very name.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                moved => return Ok(moved?),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn open(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_of_five_thousand_levels_goes_and_what_a_link_names_stays() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        symlink(&kept, tree.join("link")).unwrap();
        // The names that it would give itself.
        std::fs::create_dir_all(tree.join(".deep-1/inner")).unwrap();
        std::fs::write(tree.join(".deep-2"), "x").unwrap();
        let mut at =
            open(rustix::fs::CWD, &std::ffi::CString::new(tree.to_str().unwrap()).unwrap());
        for level in 0..5_000 {
            let directory = at.unwrap();
            rustix::fs::mkdirat(&directory, c"d", Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rustix::fs::mkdirat(&directory, c"e", Mode::RWXU).unwrap();
                rustix::fs::symlinkat("/", &directory, c"root").unwrap();
            }
            at = open(directory.as_fd(), c"d");
        }
        drop(at);
        raze(&tree).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
    }
}
