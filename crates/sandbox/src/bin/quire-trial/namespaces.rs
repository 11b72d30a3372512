//! Namespaces: made, entered, or taken to stand apart from the host.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;

use crate::{Answer, Trial, call, number, numeric, wait};

pub const TRIALS: &[Trial] = &[
    // The argument is the flag of the namespace.
    ("unshare", |arguments| call!(libc::SYS_unshare, numeric(arguments, 0))),
    ("clone", |arguments| {
        let flags = numeric(arguments, 0) | i64::from(libc::SIGCHLD);
        child_of(call!(libc::SYS_clone, flags, 0, 0, 0, 0))
    }),
    ("clone3", |arguments| {
        let flags = numeric(arguments, 0).cast_unsigned();
        let clone = [flags, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        child_of(call!(libc::SYS_clone3, clone.as_ptr(), 64))
    }),
    ("setns", |arguments| {
        let path = arguments.first().map_or("", String::as_str);
        let file = File::open(path).map_err(|error| number(&error))?;
        call!(libc::SYS_setns, file.as_raw_fd(), 0)
    }),
    ("setns_pidfd", |arguments| {
        let process = call!(libc::SYS_pidfd_open, numeric(arguments, 0), 0)?;
        let process: i32 = process.parse().unwrap_or(-1);
        call!(libc::SYS_setns, process, libc::CLONE_NEWUTS)
    }),
];

/// Ends the child of a fork at once, and waits for it in the parent.
fn child_of(forked: Answer) -> Answer {
    let forked = forked?;
    match forked.parse().unwrap_or(0) {
        // SAFETY: does not return.
        0 => unsafe { libc::_exit(0) },
        child => wait(child).map(|_| "a child was made".to_owned()),
    }
}

/// Takes namespaces of this process's own, with its user as root in them.
pub fn stand_apart() -> io::Result<()> {
    // SAFETY: numbers that cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let flags = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC;
    // SAFETY: a number; this process has one thread.
    if unsafe { libc::unshare(flags) } < 0 {
        return Err(io::Error::last_os_error());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}
