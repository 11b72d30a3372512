//! Opening what a sandbox is made from: mounts of the host's, attached nowhere yet.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::idmap::Shift;
use super::spawn::{FIRST_ID, Nursery};
use crate::build::{Opened, OpenedMount, System};
use crate::plan::{Answer, LayerPlan, MountPlan, Plan, RootPlan, UpperPlan};
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY};

/// System directories that are shown read-only.
const SHOWN: [&str; 3] = ["usr", "opt", "srv"];

/// Made again as the host has them: a link or a directory.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

const READ_ONLY: u64 = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV;

impl Nursery {
    /// Opens everything that the sandbox will not reach by path.
    pub(super) fn open(&mut self, plan: &Plan) -> Result<Opened, Answer> {
        let failed = |path: &Path| {
            let step = format!("open {}", path.display());
            move |error: io::Error| Answer::Failed {
                step,
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }
        };
        let upper = match &plan.upper {
            UpperPlan::Disk(path) => Some(
                self.shifted(plan, path, true, ATTR_NOSUID | ATTR_NODEV).map_err(failed(path))?,
            ),
            UpperPlan::Memory(_) => None,
        };
        let mut opened = Opened { upper, root: Vec::new(), system: Vec::new(), mounts: Vec::new() };
        match &plan.root {
            RootPlan::Layers(layers) => {
                for layer in layers {
                    opened.root.push(self.layer(plan, layer).map_err(failed(&layer.path))?);
                }
            }
            RootPlan::Host { etc } => {
                opened.system = self.system(plan, etc)?;
            }
        }
        for mount in &plan.mounts {
            opened.mounts.push(match mount {
                MountPlan::Overlay { lowers, target, .. } => {
                    let mut layers = Vec::with_capacity(lowers.len());
                    for layer in lowers {
                        layers.push(self.layer(plan, layer).map_err(failed(&layer.path))?);
                    }
                    layers.extend(self.beneath(plan, target).map_err(failed(target))?);
                    OpenedMount::Overlay(layers)
                }
                MountPlan::System { target, lowers, .. } => {
                    self.over_system(plan, target, lowers).map_err(failed(target))?
                }
                MountPlan::State { target, lowers } => {
                    let layers = self.state(plan, target, lowers).map_err(failed(target))?;
                    layers.map_or(OpenedMount::Bind(None), OpenedMount::Overlay)
                }
                MountPlan::Bind { source, optional, .. } => {
                    let bound = sys::detached(CWD, source, true, READ_ONLY, None);
                    match bound {
                        Ok(mount) => {
                            let kind = rustix::fs::fstat(&mount)
                                .map_err(|error| failed(source)(error.into()))?;
                            let is_dir = kind.st_mode & libc::S_IFMT == libc::S_IFDIR;
                            OpenedMount::Bind(Some((mount, is_dir)))
                        }
                        Err(_) if *optional => OpenedMount::Bind(None),
                        Err(error) => return Err(failed(source)(error)),
                    }
                }
            });
        }
        Ok(opened)
    }

    /// The host's system directories, but those that an overlay of the plan replaces.
    fn system(&mut self, plan: &Plan, etc: &Path) -> Result<Vec<(String, System)>, Answer> {
        let mut system = Vec::new();
        let failed = |path: &Path, error: &io::Error| Answer::Failed {
            step: format!("show {}", path.display()),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        };
        let replaced =
            |target: &str| plan.mounts.iter().any(|mount| mount.target() == Path::new(target));
        for name in MERGED {
            let path = Path::new("/").join(name);
            if let Ok(target) = std::fs::read_link(&path) {
                system.push((name.to_owned(), System::Link(target)));
            } else if path.is_dir() {
                let mount = sys::detached(CWD, &path, true, READ_ONLY, None)
                    .map_err(|error| failed(&path, &error))?;
                system.push((name.to_owned(), System::Mount(mount)));
            }
        }
        for name in SHOWN {
            let path = Path::new("/").join(name);
            if path.is_dir() && !replaced(&format!("/{name}")) {
                let mount = sys::detached(CWD, &path, true, READ_ONLY, None)
                    .map_err(|error| failed(&path, &error))?;
                system.push((name.to_owned(), System::Mount(mount)));
            }
        }
        if !replaced("/etc") {
            let mount =
                self.shifted(plan, etc, false, READ_ONLY).map_err(|error| failed(etc, &error))?;
            system.push(("etc".to_owned(), System::Mount(mount)));
        }
        Ok(system)
    }

    /// The base's own directory beneath an overlay of the plan.
    fn beneath(&mut self, plan: &Plan, target: &Path) -> io::Result<Option<OwnedFd>> {
        let RootPlan::Host { etc } = &plan.root else { return Ok(None) };
        match target.to_str() {
            Some("/etc") => self.shifted(plan, etc, false, READ_ONLY).map(Some),
            // Shifted, its files belong to the sandbox's root, as package managers need it. What
            // root alone may read on the host can then be read inside: so never for the agent, and
            // never where other things than packages lie.
            Some("/usr") if plan.setup => self.shifted(plan, target, false, READ_ONLY).map(Some),
            Some("/usr" | "/opt" | "/srv") if target.is_dir() => {
                sys::detached(CWD, target, false, READ_ONLY, None).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The layers over a system directory, and the directory. Where nothing can be laid over it
    /// and nothing has to be, it is opened as it is.
    fn over_system(
        &mut self,
        plan: &Plan,
        target: &Path,
        lowers: &[LayerPlan],
    ) -> io::Result<OpenedMount> {
        let mut layers = Vec::with_capacity(lowers.len() + 1);
        for layer in lowers {
            layers.push(self.layer(plan, layer)?);
        }
        // A copy without them would hide what is mounted there.
        let beneath = if sys::mounts_below(target) {
            Err(io::Error::from_raw_os_error(libc::EBUSY))
        } else {
            self.beneath(plan, target)
        };
        match beneath {
            Ok(beneath) => layers.extend(beneath),
            Err(_) if layers.is_empty() => {
                let mount = sys::detached(CWD, target, true, READ_ONLY, None)?;
                return Ok(OpenedMount::Bind(Some((mount, true))));
            }
            Err(error) => return Err(error),
        }
        Ok(OpenedMount::Overlay(layers))
    }

    /// What layers of `/var` hold at `target`, and the host's own; `None` where it has none.
    fn state(
        &mut self,
        plan: &Plan,
        target: &Path,
        lowers: &[LayerPlan],
    ) -> io::Result<Option<Vec<OwnedFd>>> {
        let below_var = target.strip_prefix("/var").map_err(io::Error::other)?;
        if !std::fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
            return Ok(None);
        }
        let mut layers = Vec::with_capacity(lowers.len() + 1);
        for layer in lowers {
            layers.extend(self.part(plan, layer, below_var)?);
        }
        layers.push(self.shifted(plan, target, false, READ_ONLY)?);
        Ok(Some(layers))
    }

    /// A directory in a layer that a sandbox wrote, reached by no link.
    fn part(&mut self, plan: &Plan, layer: &LayerPlan, path: &Path) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = rustix::fs::open(&layer.path, flags, Mode::empty())?;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let part = match rustix::fs::openat2(top, path, flags, Mode::empty(), beneath) {
            Ok(part) => part,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let map = self.map(plan, layer.sandbox_owned)?;
        sys::detached(part, Path::new(""), false, READ_ONLY, map).map(Some)
    }

    fn layer(&mut self, plan: &Plan, layer: &LayerPlan) -> io::Result<OwnedFd> {
        self.shifted(plan, &layer.path, layer.sandbox_owned, READ_ONLY)
    }

    /// A detached copy of a directory's mount, id-mapped to the plan's range where that works.
    fn shifted(
        &mut self,
        plan: &Plan,
        path: &Path,
        sandbox_owned: bool,
        attr: u64,
    ) -> io::Result<OwnedFd> {
        let map = self.map(plan, sandbox_owned)?;
        sys::detached(CWD, path, false, attr, map)
    }

    /// The table that brings ids on disk to the plan's range, where that works.
    fn map(&mut self, plan: &Plan, sandbox_owned: bool) -> io::Result<Option<&OwnedFd>> {
        let from = if sandbox_owned { FIRST_ID } else { 0 };
        match plan.range {
            Some(to) if plan.idmapped && to != from => self.maps.get(Shift { from, to }).map(Some),
            _ => Ok(None),
        }
    }
}
