//! One descriptor in reserve, so that a connection is answered also where there is none left.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Held so that it can be given up.
#[derive(Debug)]
pub(crate) struct Spare(Mutex<Option<File>>);

impl Spare {
    /// Takes one now, while there are some.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(open()))
    }

    /// Gives it up for `work`, and takes it again after that, if it can be had. `None` where it is
    /// given up already.
    pub(crate) async fn lend<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let lent = match spare.or_else(open) {
            Some(spare) => {
                drop(spare);
                Some(work.await)
            }
            None => None,
        };
        let again = open();
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = again;
        }
        lent
    }
}

fn open() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether there was no descriptor left, in this process or on this machine.
pub(crate) fn ran_out(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::MFILE.raw_os_error(), Errno::NFILE.raw_os_error()];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
