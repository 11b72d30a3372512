//! `/proc` of the sandbox's own process ids, with what speaks of the host masked.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::tree::{self, Kind};
use super::{Step, StepError};
use crate::sys;

/// Directories that stay readable and can be written by nobody.
const READ_ONLY: [&str; 4] = ["sys", "irq", "bus", "fs"];

/// Files that read as empty.
const MASKED: [&str; 9] = [
    "sysrq-trigger",
    "kcore",
    "keys",
    "kallsyms",
    "kmsg",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "key-users",
];

/// Directories that read as empty.
const EMPTIED: [&str; 2] = ["acpi", "scsi"];

/// Mounts it. Where the host's own is masked a new one is refused: then that one is shown, and
/// said to be.
pub fn mount(root: &OwnedFd, degraded: &mut Vec<String>) -> Result<OwnedFd, StepError> {
    let place = tree::place(root, Path::new("proc"), Kind::Directory).step("make /proc")?;
    let own = match new_proc() {
        Ok(own) => own,
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            degraded.push("/proc shows the processes of the surrounding container".to_owned());
            sys::detached(CWD, Path::new("/proc"), true, sys::ATTR_NOSUID, None)
                .step("show the outer /proc")?
        }
        Err(error) => return Err(error).step("make /proc"),
    };
    sys::attach(&own, place).step("mount /proc")?;
    for name in READ_ONLY {
        let step = format!("close /proc/{name}");
        match sys::detached(&own, Path::new(name), true, sys::ATTR_RDONLY, None) {
            Ok(view) => {
                sys::attach(&view, tree::open(&own, Path::new(name)).step(&step)?).step(&step)?;
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error).step(&step),
        }
    }
    for name in MASKED {
        let Ok(on) = tree::open(&own, Path::new(name)) else { continue };
        let step = format!("mask /proc/{name}");
        let null = sys::detached(root, Path::new("dev/null"), false, sys::ATTR_RDONLY, None)
            .step(&step)?;
        sys::attach(&null, on).step(&step)?;
    }
    for name in EMPTIED {
        let Ok(on) = tree::open(&own, Path::new(name)) else { continue };
        let step = format!("mask /proc/{name}");
        let empty = super::base::tmpfs(&[("size", "4k"), ("nr_inodes", "1"), ("mode", "555")])
            .step(&step)?;
        sys::mount_setattr(&empty, false, sys::ATTR_RDONLY, None).step(&step)?;
        sys::attach(&empty, on).step(&step)?;
    }
    Ok(own)
}

fn new_proc() -> std::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    Ok(rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?)
}
