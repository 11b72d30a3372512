//! Measuring what only the zygote may look at: directories that are closed to the host's user.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::serve::send_answer;
use crate::native::measure::measure;
use crate::plan::Answer;
use crate::sys;

/// Measures in a child, so that a large tree does not hold up others. The answer comes from the
/// child, unless it could not be made.
pub(super) fn in_child(dir: &Path, most: u64, answer_to: &OwnedFd) -> Option<Answer> {
    // SAFETY: the zygote has one thread.
    match unsafe { sys::fork_into(0) } {
        Ok(None) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::open(dir, flags, Mode::empty()).map_err(io::Error::from);
            let answer = match opened.and_then(|opened| measure(&opened, most)) {
                Ok(measured) => Answer::Measured(measured.used),
                Err(error) => failed(&error),
            };
            send_answer(answer_to, &answer, None);
            sys::exit_now(0)
        }
        Ok(Some(_)) => None,
        Err(error) => Some(failed(&error)),
    }
}

fn failed(error: &io::Error) -> Answer {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    Answer::Failed { step: "measure".to_owned(), errno }
}
