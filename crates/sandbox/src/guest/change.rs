//! Changing several files: all or none.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::helper::refuse;

/// Does what the request says and answers.
pub fn change(_request: OwnedFd, mut to: File) {
    refuse(&mut to, &std::io::Error::from_raw_os_error(libc::ENOSYS));
}
