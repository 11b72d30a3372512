//! Terminals: input that another would read as typed.

use crate::{Answer, Trial, answer, call, errno};

const TIOCSTI: u64 = 0x5412;

pub const TRIALS: &[Trial] = &[
    ("tiocsti", |_| push(TIOCSTI)),
    // The kernel reads the low half of a command alone.
    ("tiocsti_high_bits", |_| push(TIOCSTI | 1 << 40)),
    ("tioclinux", |_| push(0x541c)),
    ("controlling_terminal", |_| {
        call!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/tty".as_ptr(), libc::O_RDWR)
    }),
];

/// Pushes a byte into a terminal of our own that controls us.
fn push(command: u64) -> Answer {
    // SAFETY: descriptors and strings of our own.
    unsafe {
        libc::setsid();
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        if master < 0 || libc::grantpt(master) < 0 || libc::unlockpt(master) < 0 {
            return Err(errno());
        }
        let mut name = [0; 64];
        if libc::ptsname_r(master, name.as_mut_ptr(), name.len()) != 0 {
            return Err(errno());
        }
        let slave = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY);
        libc::ioctl(slave, libc::TIOCSCTTY, 0);
        answer(libc::syscall(libc::SYS_ioctl, slave, command, c"x".as_ptr()))
    }
}
