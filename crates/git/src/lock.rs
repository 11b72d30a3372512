//! Locks between processes: a file that is held with `flock` while work is done.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::error::GitError;

/// A held lock; given back when dropped, also by a process that dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// The lock in a directory that is held while what is in it is used.
pub(crate) const HELD: &str = "held";

/// Alone, or together with others who only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    Alone,
    Shared,
}

impl Lock {
    /// Waits for the lock at `path`, `patience` at most.
    pub(crate) async fn wait(
        doing: &'static str,
        path: PathBuf,
        patience: Duration,
    ) -> Result<Self, GitError> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = Self::try_now(&path, Hold::Alone)? {
                return Ok(lock);
            }
            if start.elapsed() >= patience {
                return Err(GitError::Locked { doing, lock: path, after: patience });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Whether the path still names the file that is locked.
    fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), std::fs::metadata(path)) {
            (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    /// Lets others in who only read.
    pub(crate) fn share(&self, path: &Path) -> Result<(), GitError> {
        rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockShared)
            .map_err(|errno| GitError::io("share the lock", path)(errno.into()))
    }

    /// As [`Lock::try_now`] to read, trying for a moment: a lock that was just given back may for
    /// some microseconds live on in a process that was being started meanwhile.
    pub(crate) fn share_soon(path: &Path) -> Result<Option<Self>, GitError> {
        for _ in 0..100 {
            match Self::try_now(path, Hold::Shared) {
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Ok(Some(held)) => return Ok(held.is_at(path).then_some(held)),
                // What it is in was moved away.
                Err(GitError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes the lock at `path` if nobody else has it. The file is made if absent and stays.
    pub(crate) fn try_now(path: &Path, hold: Hold) -> Result<Option<Self>, GitError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(GitError::io("open the lock", path))?;
        let operation = match hold {
            Hold::Alone => FlockOperation::NonBlockingLockExclusive,
            Hold::Shared => FlockOperation::NonBlockingLockShared,
        };
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(GitError::io("lock", path)(errno.into())),
        }
    }
}
