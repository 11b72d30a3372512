//! Another user, more capabilities.

use crate::{Trial, call};

pub const TRIALS: &[Trial] = &[
    ("setuid_root", |_| call!(libc::SYS_setresuid, 0, 0, 0)),
    ("setgid_root", |_| call!(libc::SYS_setresgid, 0, 0, 0)),
    ("setgroups", |_| {
        let groups: [libc::gid_t; 1] = [0];
        call!(libc::SYS_setgroups, 1, groups.as_ptr())
    }),
    ("capset", |_| {
        let header = [0x2008_0522_u32, 0];
        // Effective, permitted, inheritable, of CAP_SYS_ADMIN alone, then the high halves.
        let bits = [1_u32 << 21, 1 << 21, 0, 0, 0, 0];
        call!(libc::SYS_capset, header.as_ptr(), bits.as_ptr())
    }),
    ("ambient", |_| {
        call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, 21, 0, 0)
    }),
    ("regain_privileges", |_| call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)),
    ("securebits", |_| call!(libc::SYS_prctl, libc::PR_SET_SECUREBITS, 0x2f, 0, 0, 0)),
];
