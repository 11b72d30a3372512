//! Mounts by the old calls and the new ones, and another root.

use crate::{Trial, call};

const HERE: i32 = libc::AT_FDCWD;
const NULL: *const libc::c_void = std::ptr::null();

pub const TRIALS: &[Trial] = &[
    ("mount_tmpfs", |_| {
        let (name, on, kind) = (c"t".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr());
        call!(libc::SYS_mount, name, on, kind, 0, NULL)
    }),
    ("mount_bind", |_| {
        let (from, on) = (c"/usr".as_ptr(), c"/tmp".as_ptr());
        call!(libc::SYS_mount, from, on, NULL, libc::MS_BIND, NULL)
    }),
    ("mount_remount", |_| {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        call!(libc::SYS_mount, NULL, c"/usr".as_ptr(), NULL, flags, NULL)
    }),
    ("mount_propagation", |_| {
        call!(libc::SYS_mount, NULL, c"/".as_ptr(), NULL, libc::MS_SHARED | libc::MS_REC, NULL)
    }),
    ("umount", |_| call!(libc::SYS_umount2, c"/proc".as_ptr(), libc::MNT_DETACH)),
    ("fsopen", |_| call!(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0)),
    ("fsconfig", |_| call!(libc::SYS_fsconfig, -1, 6, NULL, NULL, 0)),
    ("fsmount", |_| call!(libc::SYS_fsmount, -1, 0, 0)),
    ("fspick", |_| call!(libc::SYS_fspick, HERE, c"/tmp".as_ptr(), 0)),
    ("open_tree", |_| call!(libc::SYS_open_tree, HERE, c"/tmp".as_ptr(), 1)),
    // open_tree_attr, of Linux 6.15.
    ("open_tree_attr", |_| {
        let attributes = [0_u64; 4];
        call!(467, HERE, c"/tmp".as_ptr(), 1, attributes.as_ptr(), 32)
    }),
    ("move_mount", |_| call!(libc::SYS_move_mount, -1, c"".as_ptr(), -1, c"".as_ptr(), 0x44)),
    ("mount_setattr", |_| {
        let attributes = [0_u64; 4];
        call!(libc::SYS_mount_setattr, HERE, c"/".as_ptr(), 0, attributes.as_ptr(), 32)
    }),
    ("pivot_root", |_| call!(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr())),
    ("chroot", |_| call!(libc::SYS_chroot, c"/".as_ptr())),
];
