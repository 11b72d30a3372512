//! The new root: a small file system of our own, and what of the host is shown in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags};

use super::tree::{self, Kind};
use super::{Opened, Step, StepError, System, devices, overlay, proc};
use crate::plan::{Plan, RootPlan, UpperPlan};
use crate::sys;

/// What package managers expect below `/var`, besides what they know.
const SETUP_PLACES: [&str; 8] = [
    "var/backups",
    "var/cache/apt/archives/partial",
    "var/cache/man",
    "var/lib/misc",
    "var/local",
    "var/log/apt",
    "var/mail",
    "var/spool",
];

/// What every sandbox has, whatever it is made from: made ahead of time where that is known late.
pub struct Bare {
    /// Where mounts wait for their place, and the current directory: a file system of its own, in
    /// which the new root hangs as well. Letting go of the host's tree takes it and all that still
    /// hangs in it along, where to unmount one after the other costs a tenth of a millisecond each.
    stage: OwnedFd,
    /// The root file system of our own.
    small: OwnedFd,
    dev: OwnedFd,
    proc: OwnedFd,
    /// What is weaker than it should be.
    pub degraded: Vec<String>,
}

/// Makes the root file system with `/dev` and `/proc`.
pub fn make_bare() -> Result<Bare, StepError> {
    rustix::mount::mount_change(
        c"/",
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
    )
    .step("make mounts private")?;
    let small = tmpfs(&[("size", "1m"), ("nr_inodes", "4096"), ("mode", "755")])
        .step("make the root file system")?;
    let stage =
        tmpfs(&[("size", "64k"), ("nr_inodes", "8192"), ("mode", "700")]).step("make the stage")?;
    // `/tmp` is only a place to hang it from until the pivot.
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&stage, c"", CWD, c"/tmp", flags).step("attach the stage")?;
    rustix::process::fchdir(&stage).step("enter the stage")?;
    directory(&stage, "small", 0o755)?;
    let on = tree::open(&stage, Path::new("small")).step("stage the root")?;
    sys::attach(&small, on).step("stage the root")?;
    let mut degraded = Vec::new();
    let dev = devices::mount(&small)?;
    let proc = proc::mount(&small, &mut degraded)?;
    Ok(Bare { stage, small, dev, proc, degraded })
}

/// Makes the root with the system directories, `/tmp` and the staged upper.
pub fn make_root(plan: &Plan, opened: &Opened, bare: Bare) -> Result<OwnedFd, StepError> {
    let Bare { stage, small, dev, proc, .. } = bare;
    overlay::stage_upper(plan, opened, &stage)?;
    let root = match &plan.root {
        RootPlan::Host { .. } => small,
        RootPlan::Layers(_) => {
            let root = overlay::mount_root(plan, opened, &stage)?;
            for (name, mount) in [("dev", &dev), ("proc", &proc)] {
                let step = format!("move /{name}");
                let place = tree::place(&root, Path::new(name), Kind::Directory).step(&step)?;
                sys::attach(mount, place).step(&step)?;
            }
            root
        }
    };
    for (name, system) in &opened.system {
        let step = format!("show /{name}");
        match system {
            System::Link(target) => {
                rustix::fs::symlinkat(target, &root, name.as_str()).step(&step)?;
            }
            System::Mount(mount) => {
                let place = tree::place(&root, Path::new(name), Kind::Directory).step(&step)?;
                sys::attach(mount, place).step(&step)?;
            }
        }
    }
    devices::mount_shared(plan, &dev)?;
    let size = plan.tmp_bytes.to_string();
    let inodes = plan.inodes.to_string();
    let tmp =
        tmpfs(&[("size", &size), ("nr_inodes", &inodes), ("mode", "1777")]).step("make /tmp")?;
    let place = tree::place(&root, Path::new("tmp"), Kind::Directory).step("make /tmp")?;
    sys::attach(&tmp, place).step("mount /tmp")?;
    if plan.setup && matches!(plan.root, RootPlan::Host { .. }) {
        // What packages start or note while they are set up; nothing of it is kept.
        let run =
            tmpfs(&[("size", "16m"), ("nr_inodes", "4096"), ("mode", "755")]).step("make /run")?;
        let place = tree::place(&root, Path::new("run"), Kind::Directory).step("make /run")?;
        sys::attach(&run, place).step("mount /run")?;
        directory(&root, "run/lock", 0o1777)?;
    }
    Ok(root)
}

/// Makes a directory that may exist.
pub fn directory(root: impl AsFd, path: &str, mode: u32) -> Result<(), StepError> {
    match rustix::fs::mkdirat(&root, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error).step(&format!("make the directory {path}")),
    }
    // The mask of the process does not apply to a mode that is set. What a command put in its
    // place, a link above all, is left as it is.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(made) => rustix::fs::fchmod(made, Mode::from_raw_mode(mode))
            .step(&format!("set the mode of {path}")),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => Ok(()),
        Err(error) => Err(error).step(&format!("open {path}")),
    }
}

/// A file system in memory, attached nowhere; set-user-id bits and devices do nothing.
pub fn tmpfs(options: &[(&str, &str)]) -> std::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    Ok(rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?)
}

/// Makes the directories that programs expect, and takes the stage down.
pub fn finish(plan: &Plan, root: &OwnedFd) -> Result<(), StepError> {
    if matches!(plan.root, RootPlan::Host { .. }) {
        for (path, mode) in [
            ("run", 0o755),
            ("var/tmp", 0o1777),
            ("var/log", 0o755),
            ("var/cache", 0o755),
            ("var/lib", 0o755),
        ] {
            directory(root, path, mode)?;
        }
        for path in SETUP_PLACES.iter().filter(|_| plan.setup) {
            tree::place(root, Path::new(path), Kind::Directory)
                .step(&format!("make the directory {path}"))?;
        }
        for (target, link) in [("/run", "var/run"), ("/run/lock", "var/lock")] {
            match rustix::fs::symlinkat(target, root, link) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).step(&format!("make /{link}")),
            }
        }
    } else {
        tree::place(root, Path::new("var/lib"), Kind::Directory).step("make /var/lib")?;
    }
    match rustix::fs::mkdirat(root, guest_journal(), Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error).step("make the journal's directory"),
    }
    if plan.unfolding {
        crate::guest::fold::restore(Path::new("/")).step("bring back /tmp")?;
    }
    for path in [&plan.home, &plan.workdir] {
        tree::place(root, path, Kind::Directory)
            .step(&format!("make the directory {}", path.display()))?;
    }
    Ok(())
}

/// The journal's directory, relative to the root.
fn guest_journal() -> &'static str {
    crate::guest::JOURNAL.trim_start_matches('/')
}

/// Makes `root` the root of this process and lets go of the host's tree.
pub fn enter(root: BorrowedFd<'_>) -> Result<(), StepError> {
    rustix::process::fchdir(root).step("enter the root")?;
    rustix::process::pivot_root(c".", c".").step("pivot the root")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH).step("let go of the host's tree")?;
    rustix::process::chdir(c"/").step("enter the root")
}

/// Nothing is written to a root of our own: what is writable is mounted in it.
pub fn close(plan: &Plan, root: &OwnedFd) -> Result<(), StepError> {
    match plan.root {
        RootPlan::Host { .. } => {
            sys::mount_setattr(root, false, sys::ATTR_RDONLY, None).step("close the root")
        }
        RootPlan::Layers(_) => Ok(()),
    }
}

/// Whether the upper lies in memory.
pub fn in_memory(plan: &Plan) -> bool {
    matches!(plan.upper, UpperPlan::Memory(_))
}
