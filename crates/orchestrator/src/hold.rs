//! Holding the sandboxes' files of an attempt: whoever works in them or over them does, so that no
//! sweep of this or another process takes them away.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A directory that is held; given back when dropped or when the process dies.
#[derive(Debug)]
pub struct Hold {
    _dir: File,
}

impl Hold {
    /// Holds `dir` beside others who use it. `None` where there is none, or where it is being
    /// removed just now.
    pub fn shared(dir: &Path) -> Option<Self> {
        Self::take(dir, File::try_lock_shared)
    }

    /// Holds `dir` alone, to remove it. `None` where there is none or somebody uses it.
    pub fn alone(dir: &Path) -> Option<Self> {
        Self::take(dir, File::try_lock)
    }

    fn take(dir: &Path, lock: fn(&File) -> Result<(), TryLockError>) -> Option<Self> {
        let file = File::open(dir).ok()?;
        lock(&file).ok()?;
        // Between opening and locking another may have taken its place.
        let (held, there) = (file.metadata().ok()?, std::fs::symlink_metadata(dir).ok()?);
        ((held.dev(), held.ino()) == (there.dev(), there.ino())).then_some(Self { _dir: file })
    }
}

#[cfg(test)]
mod tests {
    use super::Hold;

    #[test]
    fn what_is_used_is_not_held_alone_and_what_was_put_in_its_place_is_another() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("attempt");
        assert!(Hold::shared(&dir).is_none());
        std::fs::create_dir(&dir).unwrap();
        let (one, two) = (Hold::shared(&dir), Hold::shared(&dir));
        assert!(one.is_some() && two.is_some());
        assert!(Hold::alone(&dir).is_none());
        drop(one);
        assert!(Hold::alone(&dir).is_none());
        std::fs::rename(&dir, parent.path().join("trash")).unwrap();
        std::fs::create_dir(&dir).unwrap();
        assert!(Hold::alone(&dir).is_some());
        drop(two);
        assert!(Hold::shared(&dir).is_some());
    }
}
