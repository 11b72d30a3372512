//! Reading one file for the host.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::helper::{head, refuse};
use crate::frames::answer;
use crate::wire;

/// The longest path.
const PATH_LIMIT: usize = 64 * 1024;

/// Reads the file that the request names and writes it to `to`, at most `limit` bytes.
pub fn read(request: &OwnedFd, limit: u64, mut to: File) {
    match open(request) {
        Ok(Opened::File(file, size)) if size <= limit => {
            head(&mut to, answer::DONE, 0, size);
            // It may grow while it is read: never more than was asked for.
            let _ = io::copy(&mut file.take(limit), &mut to);
        }
        Ok(Opened::File(_, size)) => head(&mut to, answer::TOO_LARGE, 0, size),
        Ok(Opened::Other) => head(&mut to, answer::NOT_A_FILE, 0, 0),
        Err(error) => refuse(&mut to, &error),
    }
}

enum Opened {
    File(File, u64),
    Other,
}

/// Looks before it opens: opening a pipe would wait, and opening a device may act.
fn open(request: &OwnedFd) -> io::Result<Opened> {
    let path = wire::read_memory_file(request, PATH_LIMIT)?;
    let place =
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(OsStr::from_bytes(&path))?;
    let metadata = place.metadata()?;
    if !metadata.is_file() {
        return Ok(Opened::Other);
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
    Ok(Opened::File(file, metadata.len()))
}
