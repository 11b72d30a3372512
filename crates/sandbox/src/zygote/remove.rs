//! Removing trees that only the zygote may: files of ids it maps, directories without modes.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::raze::raze;
use super::serve::send_answer;
use crate::plan::Answer;
use crate::sys;

/// Removes `path` in a child, so that a large tree does not hold up others. The answer comes
/// from the child, unless it could not be made.
pub(super) fn in_child(path: &Path, answer_to: &OwnedFd) -> Option<Answer> {
    // SAFETY: the zygote has one thread.
    match unsafe { sys::fork_into(0) } {
        Ok(None) => {
            let answer = match remove(path) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Failed {
                    step: format!("remove {}", path.display()),
                    errno: error.raw_os_error().unwrap_or(libc::EIO),
                },
            };
            send_answer(answer_to, &answer, None);
            sys::exit_now(0)
        }
        Ok(Some(_)) => None,
        Err(error) => Some(Answer::Failed {
            step: "fork".to_owned(),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        }),
    }
}

/// Never follows a link: the tree was written by a sandbox.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => raze(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
