//! Overlays: read-only layers below, what is written above, in the order of the plan.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::base::{directory, tmpfs};
use super::tree::{self, Kind};
use super::{Opened, OpenedMount, Step, StepError, state};
use crate::plan::{MountPlan, Plan, UpperPlan};
use crate::sys;

/// Where the upper waits on the stage, which is the current directory.
pub(super) const UPPER: &str = "upper";

/// The name of the root's own overlay in the upper.
const ROOT_NAME: &str = "root";

/// Attaches the upper on the stage.
pub fn stage_upper(plan: &Plan, opened: &Opened, stage: &OwnedFd) -> Result<(), StepError> {
    directory(stage, UPPER, 0o755)?;
    let on = tree::open(stage, Path::new(UPPER)).step("stage the upper")?;
    match (&plan.upper, &opened.upper) {
        (UpperPlan::Memory(bytes), _) => {
            let inodes = plan.inodes.to_string();
            let memory =
                tmpfs(&[("size", &bytes.to_string()), ("nr_inodes", &inodes), ("mode", "755")])
                    .step("make the upper in memory")?;
            sys::attach(&memory, on).step("stage the upper")
        }
        (UpperPlan::Disk(_), Some(upper)) => sys::attach(upper, on).step("stage the upper"),
        (UpperPlan::Disk(_), None) => {
            Err(io::Error::from(io::ErrorKind::NotFound)).step("stage the upper")
        }
    }
}

/// A handle on an upper in memory.
pub fn memory_upper(plan: &Plan) -> io::Result<Option<OwnedFd>> {
    if !super::base::in_memory(plan) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Some(rustix::fs::open(UPPER, flags, Mode::empty())?))
}

/// Makes the overlay that is the root, attached on the stage.
pub fn mount_root(plan: &Plan, opened: &Opened, stage: &OwnedFd) -> Result<OwnedFd, StepError> {
    let root = writable(plan, ROOT_NAME, &opened.root).step("make the root overlay")?;
    directory(stage, "root", 0o755)?;
    let on = tree::open(stage, Path::new("root")).step("stage the root")?;
    sys::attach(&root, on).step("stage the root")?;
    Ok(root)
}

/// Makes and attaches everything the plan names.
pub fn mount_all(plan: &Plan, opened: &Opened, root: &OwnedFd) -> Result<(), StepError> {
    for (mount, opened) in plan.mounts.iter().zip(&opened.mounts) {
        let target = mount.target();
        let step = format!("mount {}", target.display());
        match (mount, opened) {
            (
                MountPlan::Overlay { name, .. } | MountPlan::System { name, writable: true, .. },
                OpenedMount::Overlay(layers),
            ) => {
                let overlay = writable(plan, name, layers).step(&step)?;
                let on = tree::place(root, target, Kind::Directory).step(&step)?;
                sys::attach(&overlay, on).step(&step)?;
            }
            (MountPlan::System { writable: false, .. }, OpenedMount::Overlay(layers)) => {
                let on = tree::place(root, target, Kind::Directory).step(&step)?;
                show(layers, on).step(&step)?;
            }
            (MountPlan::State { .. }, OpenedMount::Overlay(layers)) => {
                let overlay = state::overlay(plan, target, layers).step(&step)?;
                let on = tree::place(root, target, Kind::Directory).step(&step)?;
                sys::attach(&overlay, on).step(&step)?;
            }
            (_, OpenedMount::Bind(Some((bound, is_dir)))) => {
                let kind = if *is_dir { Kind::Directory } else { Kind::File };
                let placed = tree::place(root, target, kind).and_then(|on| sys::attach(bound, on));
                let optional = matches!(mount, MountPlan::Bind { optional: true, .. });
                match placed {
                    Err(error) if !optional => return Err(error).step(&step),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A writable view of `layers` whose writes go to the upper's directory `name`.
fn writable(plan: &Plan, name: &str, layers: &[OwnedFd]) -> io::Result<OwnedFd> {
    let holder = format!("{UPPER}/{name}");
    let (upper, work) = (format!("{holder}/upper"), format!("{holder}/work"));
    for path in [&holder, &upper] {
        match rustix::fs::mkdir(path.as_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if layers.is_empty() {
        let flags = sys::ATTR_NOSUID | sys::ATTR_NODEV;
        return sys::detached(rustix::fs::CWD, Path::new(&upper), false, flags, None);
    }
    over(layers, plan, &upper, &work)
}

/// An overlay of `layers` that is written to at `upper`; `work` is made anew.
pub(super) fn over(
    layers: &[OwnedFd],
    plan: &Plan,
    upper: &str,
    work: &str,
) -> io::Result<OwnedFd> {
    // What a volatile mount left there forbids another.
    remove_work(Path::new(work))?;
    rustix::fs::mkdir(work, Mode::from_raw_mode(0o700))?;
    let volatile = !super::base::in_memory(plan);
    mount_over(&stage_layers(layers)?, Some(Written { upper, work, volatile }))
}

/// Shows layers that are not written to.
fn show(layers: &[OwnedFd], on: OwnedFd) -> io::Result<()> {
    match layers {
        [] => Ok(()),
        // Of one alone no overlay can be made, and none is needed.
        [only] => sys::attach(only, on),
        _ => sys::attach(&mount_over(&stage_layers(layers)?, None)?, on),
    }
}

/// Where an overlay is written to.
struct Written<'a> {
    upper: &'a str,
    work: &'a str,
    volatile: bool,
}

fn mount_over(lowers: &[String], written: Option<Written<'_>>) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    rustix::mount::fsconfig_set_string(context, c"source", c"quire")?;
    set_lowers(context, lowers)?;
    rustix::mount::fsconfig_set_flag(context, c"userxattr")?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if let Some(written) = written {
        rustix::mount::fsconfig_set_string(context, c"upperdir", written.upper)?;
        rustix::mount::fsconfig_set_string(context, c"workdir", written.work)?;
        if written.volatile {
            rustix::mount::fsconfig_set_flag(context, c"volatile")?;
        }
    } else {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    rustix::mount::fsconfig_create(context)?;
    Ok(rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// One by one where the kernel knows `lowerdir+` (6.5), else all in one option.
fn set_lowers(context: BorrowedFd<'_>, paths: &[String]) -> io::Result<()> {
    for (index, path) in paths.iter().enumerate() {
        match rustix::mount::fsconfig_set_string(context, c"lowerdir+", path.as_str()) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) if index == 0 => {
                let all = paths.join(":");
                return Ok(rustix::mount::fsconfig_set_string(context, c"lowerdir", all.as_str())?);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// How many layers this process has staged: each needs a place of its own.
static STAGED: AtomicUsize = AtomicUsize::new(0);

/// Attaches each layer on the stage and gives the paths. By path: told of a layer by its
/// descriptor, the kernel refuses one from outside.
fn stage_layers(layers: &[OwnedFd]) -> io::Result<Vec<String>> {
    let attach = |layer: &OwnedFd| {
        let path = format!("layer-{}", STAGED.fetch_add(1, Ordering::Relaxed));
        rustix::fs::mkdir(path.as_str(), Mode::from_raw_mode(0o755))?;
        let on = tree::open(rustix::fs::CWD, Path::new(&path))?;
        sys::attach(layer, on)?;
        Ok(path)
    };
    layers.iter().map(attach).collect()
}

/// Removes a work directory; what overlayfs keeps there may have no mode bits at all.
fn remove_work(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let inner = path.join("work");
    if let Ok(open) = rustix::fs::open(
        &inner,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        if rustix::fs::chmod(own.as_str(), Mode::from_raw_mode(0o700)).is_err() {
            let _ = rustix::fs::chmodat(
                rustix::fs::CWD,
                &inner,
                Mode::from_raw_mode(0o700),
                AtFlags::empty(),
            );
        }
    }
    std::fs::remove_dir_all(path)
}
