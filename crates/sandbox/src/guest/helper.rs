//! Children of the guest that live for one request, with the sandbox's own view and locks.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use super::serve::Descriptors;
use crate::frames::{self, answer, pack};
use crate::sys;

/// Forks; the child does the work with the request and the answer's pipe, and ends.
pub fn run(fds: &mut Descriptors, work: impl FnOnce(&OwnedFd, File)) {
    let (Some(request), Some(answer)) = (fds.take(0), fds.take(1)) else { return };
    // SAFETY: the guest has one thread.
    match unsafe { libc::fork() } {
        0 => {
            work(&request, File::from(answer));
            sys::exit_now(0);
        }
        // Commands left as many processes as there may be.
        -1 => refuse(&mut File::from(answer), &std::io::Error::last_os_error()),
        _ => {}
    }
}

/// Writes the head of an answer.
pub fn head(to: &mut File, code: u32, errno: i32, number: u64) {
    let (low, high) = frames::halves(number);
    let (packet, _) = pack([code, errno.cast_unsigned(), low, high]);
    let _ = to.write_all(&packet[..answer::HEAD]);
}

/// Writes an answer that says why not.
pub fn refuse(to: &mut File, error: &std::io::Error) {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let code = if errno == libc::ENOENT { answer::NOT_FOUND } else { answer::DENIED };
    head(to, code, errno, 0);
}
