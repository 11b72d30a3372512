//! Locks on the files of snapshots: whoever stands on one, or makes one, says so.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A file or directory that is held; given back when dropped or when the process dies.
#[derive(Debug)]
pub(super) struct Hold {
    _file: File,
}

impl Hold {
    /// Holds a directory beside others. `None` where there is none, or where it is being removed.
    pub(super) fn shared(dir: &Path) -> Option<Self> {
        let file = File::open(dir).ok()?;
        file.try_lock_shared().ok()?;
        is_still(&file, dir).then_some(Self { _file: file })
    }

    /// Holds a directory alone, to remove it. `None` where somebody stands on it.
    pub(super) fn alone(dir: &Path) -> Option<Self> {
        let file = File::open(dir).ok()?;
        file.try_lock().ok()?;
        is_still(&file, dir).then_some(Self { _file: file })
    }

    /// Holds the lock file at `path`, made if absent, alone. `None` while another has it.
    pub(super) fn made(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).append(true).open(path)?;
        match file.try_lock() {
            Ok(()) if is_still(&file, path) => Ok(Some(Self { _file: file })),
            // It was removed between opening and locking.
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Whether what was opened is what lies there: between the two another may have taken its place.
fn is_still(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
        return false;
    };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}
