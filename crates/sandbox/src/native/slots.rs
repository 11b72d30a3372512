//! Ranges of ids: each running sandbox of root's has one of its own.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::zygote::{FIRST_ID, RANGE};

/// How many ranges there are; all lie below 2^31. The first is the store's.
const SLOTS: u32 = 4096;

const WRITE_LOCK: libc::c_short = 1;
const UNLOCK: libc::c_short = 2;

/// Hands out ranges that no other process on this machine uses.
#[derive(Debug)]
pub struct Slots {
    /// Byte k is locked while slot k is in use; shared by all processes.
    file: File,
    taken: Mutex<HashSet<u32>>,
}

/// A range in use; given back on drop.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    number: u32,
}

impl Slots {
    /// Opens the machine's table, or one of our own where there is no `/run`.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let shared = Path::new("/run/quire");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(shared);
        let holder = if made.is_ok() { shared } else { state_dir };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
            .open(holder.join("slots"))?;
        Ok(Self { file, taken: Mutex::default() })
    }

    /// Takes a free range.
    pub fn take(self: &Arc<Self>) -> io::Result<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for number in 1..SLOTS {
            if !taken.contains(&number) && self.lock(number, WRITE_LOCK)? {
                taken.insert(number);
                return Ok(Slot { slots: Arc::clone(self), number });
            }
        }
        Err(io::Error::from_raw_os_error(libc::EUSERS))
    }

    /// Locks or unlocks one byte; `false` if another process has it.
    fn lock(&self, number: u32, kind: libc::c_short) -> io::Result<bool> {
        // SAFETY: all-zero is a valid `flock`, and the call only reads it.
        let result = unsafe {
            let mut lock: libc::flock = std::mem::zeroed();
            lock.l_type = kind;

            lock.l_start = number.into();
            lock.l_len = 1;
            libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock)
        };
        match crate::sys::check(result.into()) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl Slot {
    /// The first id of the range.
    pub fn first_id(&self) -> u32 {
        FIRST_ID + self.number * RANGE
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.number);
        let _ = self.slots.lock(self.number, UNLOCK);
    }
}
