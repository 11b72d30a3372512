//! Locks between processes: files that are locked, and removed only by who holds them alone.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::ImageError;
use crate::progress::Progress;
use crate::registry::Call;

/// How long the first and the longest pause between two tries are.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(250);

/// Alone, or with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Alone,
    Shared,
}

/// Takes a lock if it is free.
pub(crate) fn try_take(path: &Path, mode: Mode) -> io::Result<Option<File>> {
    loop {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let taken = match mode {
            Mode::Alone => file.try_lock(),
            Mode::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who held it before may have removed it: then this one locks nothing.
        let own = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => {
                return Ok(Some(file));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for a lock, `most` at longest, and tells that it waits.
pub(crate) async fn take(
    path: &Path,
    mode: Mode,
    what: &str,
    most: Duration,
    call: Call<'_>,
) -> Result<File, ImageError> {
    loop {
        if let Some(file) = take_unless(path, mode, what, most, call, &|| false).await? {
            return Ok(file);
        }
    }
}

/// The same; gives none as soon as `needless` says that it is not needed any more.
pub(crate) async fn take_unless(
    path: &Path,
    mode: Mode,
    what: &str,
    most: Duration,
    call: Call<'_>,
    needless: &(dyn Fn() -> bool + Sync),
) -> Result<Option<File>, ImageError> {
    let began = Instant::now();
    let mut pause = FIRST;
    let mut told = false;
    loop {
        if needless() {
            return Ok(None);
        }
        let taken = try_take(path, mode).map_err(ImageError::store(format!("lock {what}")))?;
        if taken.is_some() {
            return Ok(taken);
        }
        if began.elapsed() > most {
            return Err(ImageError::Busy { what: what.to_owned(), waited: most });
        }
        if !told && pause == LONGEST {
            told = true;
            call.teller.tell(Progress::Waiting { what: what.to_owned() });
        }
        tokio::select! {
            () = call.cancel.cancelled() => return Err(ImageError::Cancelled),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST);
    }
}
