//! System calls that no dependency wraps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::mount::{MoveMountFlags, OpenTreeFlags};

/// Read-only.
pub const ATTR_RDONLY: u64 = 0x1;
/// Set-user-id bits do nothing.
pub const ATTR_NOSUID: u64 = 0x2;
/// Device nodes do nothing.
pub const ATTR_NODEV: u64 = 0x4;
/// Ids shifted by a user namespace.
const ATTR_IDMAP: u64 = 0x0010_0000;

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes on a mount, makes it private, and shifts its ids where `userns` is given.
pub fn mount_setattr(
    mount: impl AsFd,
    recursive: bool,
    attr_set: u64,
    userns: Option<&OwnedFd>,
) -> io::Result<()> {
    let attr = MountAttr {
        attr_set: attr_set | if userns.is_some() { ATTR_IDMAP } else { 0 },
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: userns.map_or(0, |fd| u64::try_from(fd.as_raw_fd()).unwrap_or(0)),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant and `attr` outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// A private copy of the mount at `path` (below `from`, if relative; `from` itself, if empty),
/// attached nowhere.
pub fn detached(
    from: impl AsFd,
    path: &Path,
    recursive: bool,
    attr_set: u64,
    userns: Option<&OwnedFd>,
) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    let mount = rustix::mount::open_tree(from, path, flags)?;
    mount_setattr(&mount, recursive, attr_set, userns)?;
    Ok(mount)
}

/// Whether something is mounted below a directory of ours.
pub fn mounts_below(directory: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|place| {
        let place = Path::new(place);
        place != directory && place.starts_with(directory)
    })
}

/// Attaches a detached mount on an open directory or file.
pub fn attach(mount: &OwnedFd, on: impl AsFd) -> io::Result<()> {
    Ok(rustix::mount::move_mount(
        mount,
        c"",
        on,
        c"",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )?)
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Forks into new namespaces. In the parent: the child's id and pidfd.
///
/// # Safety
///
/// The caller must be the only thread of its process.
pub unsafe fn fork_into(flags: libc::c_int) -> io::Result<Option<(i32, OwnedFd)>> {
    let mut pidfd: RawFd = -1;
    let args = CloneArgs {
        flags: u64::from((flags | libc::CLONE_PIDFD).cast_unsigned()),
        pidfd: &raw mut pidfd as u64,
        // A sibling takes the signal of its maker.
        exit_signal: if flags & libc::CLONE_PARENT == 0 { libc::SIGCHLD as u64 } else { 0 },
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork; the caller vouches for its being the only thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match check(pid)? {
        0 => Ok(None),
        // SAFETY: the kernel wrote a descriptor of ours.
        pid => {
            let pid = i32::try_from(pid).map_err(io::Error::other)?;
            Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })))
        }
    }
}

/// Turns a negative result into the error.
pub fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A `prctl` of one or two arguments.
pub fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<libc::c_int> {
    // SAFETY: used for options that take numbers only.
    let result = unsafe {
        libc::prctl(option, value, 0 as libc::c_ulong, 0 as libc::c_ulong, 0 as libc::c_ulong)
    };
    check(result.into()).map(|_| result)
}

/// Sets effective, permitted and inheritable capabilities alike, as a bit set.
pub fn set_capabilities(bits: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header { version: 0x2008_0522, pid: 0 };
    let half = |bits: u32| Data { effective: bits, permitted: bits, inheritable: 0 };
    let (low, high) = crate::frames::halves(bits);
    let data = [half(low), half(high)];
    // SAFETY: both structures have the layout of version 3 and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    check(result).map(drop)
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) {
    // SAFETY: the caller holds no descriptor from `first` on that it will use again.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Exits at once, without running anything of the process's own.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// Whether the kernel is of this version or later.
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let system = rustix::system::uname();
    let mut numbers = system
        .release()
        .to_str()
        .unwrap_or_default()
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}
