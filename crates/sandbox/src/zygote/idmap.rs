//! User namespaces that exist only as a table of ids, for id-mapped mounts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use crate::sys;

/// How many ids a sandbox has.
pub const RANGE: u32 = 65_536;

/// Where a running sandbox's range starts, and which ids of a layer go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shift {
    /// First id on disk.
    pub from: u32,
    /// First id of the sandbox's range.
    pub to: u32,
}

/// The tables made so far.
#[derive(Default)]
pub struct IdMaps(HashMap<Shift, OwnedFd>);

impl IdMaps {
    /// The namespace for a shift; made at first use. About 0.4 ms.
    pub fn get(&mut self, shift: Shift) -> io::Result<&OwnedFd> {
        match self.0.entry(shift) {
            Entry::Occupied(made) => Ok(made.into_mut()),
            Entry::Vacant(room) => Ok(room.insert(make(shift)?)),
        }
    }
}

fn make(shift: Shift) -> io::Result<OwnedFd> {
    let maker = rustix::process::getpid();
    // SAFETY: the zygote has one thread.
    let Some((pid, pidfd)) = (unsafe { sys::fork_into(libc::CLONE_NEWUSER) })? else {
        // Should the maker die before it kills this one.
        let asked = sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
        if asked.is_err() || rustix::process::getppid() != Some(maker) {
            sys::exit_now(0);
        }
        loop {
            // SAFETY: waits for the kill below.
            unsafe { libc::pause() };
        }
    };
    let made = write_maps(pid, &[(shift.from, shift.to, RANGE)]).and_then(|()| {
        let path = format!("/proc/{pid}/ns/user");
        Ok(rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    });
    let _ = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
    made
}

/// Writes both maps of a process: (inside, outside, how many).
pub fn write_maps(pid: i32, map: &[(u32, u32, u32)]) -> io::Result<()> {
    let text = map.iter().fold(String::new(), |mut text, (inside, outside, count)| {
        use std::fmt::Write as _;
        let _ = writeln!(text, "{inside} {outside} {count}");
        text
    });
    fs::write(format!("/proc/{pid}/uid_map"), &text)?;
    fs::write(format!("/proc/{pid}/gid_map"), &text)
}
