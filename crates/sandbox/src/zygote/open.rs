//! Opening what a sandbox is made from: mounts of the host's, attached nowhere yet.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;

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
            Some("/usr" | "/opt" | "/srv") if target.is_dir() => {
                self.shifted(plan, target, false, READ_ONLY).map(Some)
            }
            _ => Ok(None),
        }
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
        let from = if sandbox_owned { FIRST_ID } else { 0 };
        let map = match plan.range {
            Some(to) if plan.idmapped && to != from => Some(self.maps.get(Shift { from, to })?),
            _ => None,
        };
        sys::detached(CWD, path, false, attr, map)
    }
}
