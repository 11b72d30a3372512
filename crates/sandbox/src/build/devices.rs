//! `/dev`: a handful of harmless nodes and terminals of the sandbox's own.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::base::{directory, tmpfs};
use super::tree::{self, Kind};
use super::{Step, StepError};
use crate::plan::Plan;
use crate::sys;

/// Nodes that are shown; bound from the host, as an ordinary user can make none.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Makes `/dev`, with an empty place for `shm`.
pub fn mount(root: &OwnedFd) -> Result<OwnedFd, StepError> {
    let dev = tmpfs(&[("size", "64k"), ("nr_inodes", "64"), ("mode", "755")]).step("make /dev")?;
    for name in NODES {
        let step = format!("show /dev/{name}");
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666)).step(&step)?;
    }
    for (target, link) in [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("pts/ptmx", "ptmx"),
    ] {
        rustix::fs::symlinkat(target, &dev, link).step("make the links of /dev")?;
    }
    directory(&dev, "pts", 0o755)?;
    directory(&dev, "shm", 0o1777)?;
    let place = tree::place(root, Path::new("dev"), Kind::Directory).step("make /dev")?;
    sys::attach(&dev, place).step("mount /dev")?;
    for name in NODES {
        let step = format!("show /dev/{name}");
        let source = Path::new("/dev").join(name);
        let node = sys::detached(CWD, &source, false, sys::ATTR_NOSUID, None).step(&step)?;
        let on = tree::open(&dev, Path::new(name)).step(&step)?;
        sys::attach(&node, on).step(&step)?;
    }
    let terminals = terminals().step("make /dev/pts")?;
    let on = tree::open(&dev, Path::new("pts")).step("mount /dev/pts")?;
    sys::attach(&terminals, on).step("mount /dev/pts")?;
    sys::mount_setattr(&dev, false, sys::ATTR_RDONLY, None).step("close /dev")?;
    Ok(dev)
}

/// Makes `/dev/shm`, whose size hangs on the limits.
pub fn mount_shared(plan: &Plan, dev: &OwnedFd) -> Result<(), StepError> {
    let size = (plan.tmp_bytes / 4).max(1 << 20).to_string();
    let inodes = plan.inodes.to_string();
    let shared = tmpfs(&[("size", &size), ("nr_inodes", &inodes), ("mode", "1777")])
        .step("make /dev/shm")?;
    let on = tree::open(dev, Path::new("shm")).step("mount /dev/shm")?;
    sys::attach(&shared, on).step("mount /dev/shm")
}

fn terminals() -> std::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_flag(context.as_fd(), c"newinstance")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), c"ptmxmode", c"0666")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), c"mode", c"0620")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    Ok(rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?)
}
