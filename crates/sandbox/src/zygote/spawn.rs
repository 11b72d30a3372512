//! Forking one sandbox: mounts of the host's opened, namespaces made, ids mapped, limits set.

use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::net::RecvFlags;

use super::idmap::{self, IdMaps, RANGE, Shift};
use super::own;
use super::serve::{PLAN_LIMIT, send_answer};
use crate::build::{self, Opened, OpenedMount, Seed, System, seccomp};
use crate::plan::{Abilities, Answer, LayerPlan, MountPlan, Plan, Request, RootPlan, UpperPlan};
use crate::sys::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY};
use crate::wire;

/// The first id of slot 0, in whose range everything of sandboxes is stored. Above what
/// systemd and the usual sub-ids hand out, below 2^31.
pub const FIRST_ID: u32 = 0x7000_0000;

/// System directories that are shown read-only.
const SHOWN: [&str; 3] = ["usr", "opt", "srv"];

/// Made again as the host has them: a link or a directory.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Whose child a sandbox is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Of the process that makes it.
    Us,
    /// Of the zygote, which outlives the stem that makes it.
    Zygote,
}

impl Parent {
    fn flag(self) -> libc::c_int {
        match self {
            Self::Us => 0,
            Self::Zygote => libc::CLONE_PARENT,
        }
    }
}

/// What the zygote keeps ready for every sandbox.
pub struct Nursery {
    abilities: Abilities,
    maps: IdMaps,
    agent_filter: Vec<libc::sock_filter>,
    setup_filter: Vec<libc::sock_filter>,
    /// Held for life: its closing tells the guests that the zygote is gone.
    life: Option<OwnedFd>,
    life_reader: OwnedFd,
    /// Control groups of its sandboxes, for the end.
    groups: Vec<PathBuf>,
}

impl Nursery {
    /// Finds out what this process may do, and takes the namespaces that it works from.
    pub fn prepare() -> io::Result<Self> {
        let abilities = own::settle();
        let (life_reader, life) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(Self {
            abilities,
            maps: IdMaps::default(),
            agent_filter: seccomp::filter(false),
            setup_filter: seccomp::filter(true),
            life: Some(life),
            life_reader,
            groups: Vec::new(),
        })
    }

    /// What the zygote can do here, with layers on the file system of `place`.
    pub fn probe(&mut self, place: &Path) -> Abilities {
        let shift = Shift { from: 0, to: FIRST_ID };
        self.abilities.idmap = self.abilities.root
            && own::overlays_take_idmapped_layers()
            && self
                .maps
                .get(shift)
                .is_ok_and(|map| sys::detached(CWD, place, false, ATTR_RDONLY, Some(map)).is_ok());
        self.abilities.clone()
    }

    /// Makes a sandbox; the guest goes on by itself on `socket`.
    pub fn create(
        &mut self,
        plan: Plan,
        socket: &OwnedFd,
        groups: &[OwnedFd],
        parent: Parent,
    ) -> Result<(i32, OwnedFd), Answer> {
        let failed = |step: &str| {
            let step = step.to_owned();
            move |error: io::Error| Answer::Failed {
                step,
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }
        };
        let opened = self.open(&plan)?;
        let (go, mut say_go) = std::io::pipe().map_err(failed("make a pipe"))?;
        let map = match plan.range {
            Some(first) => vec![(0, first, RANGE)],
            None if self.abilities.ids == 1 => vec![(0, 0, 1)],
            // As our own are mapped: a line must lie within one of theirs.
            None => vec![(0, 0, 1), (1, 1, self.abilities.ids - 1)],
        };
        let filter = if plan.setup { &self.setup_filter } else { &self.agent_filter };
        // SAFETY: the zygote has one thread.
        let forked = unsafe { sys::fork_into(NAMESPACES | parent.flag()) };
        match forked.map_err(failed("make namespaces"))? {
            None => {
                drop(say_go);
                // SAFETY: the child's own copies, used by nobody else in it.
                let (socket, life) = unsafe {
                    (
                        OwnedFd::from_raw_fd(socket.as_raw_fd()),
                        OwnedFd::from_raw_fd(self.life_reader.as_raw_fd()),
                    )
                };
                build::run(Seed { plan, opened, socket, go: go.into(), life, filter })
            }
            Some((pid, pidfd)) => {
                let settled = idmap::write_maps(pid, &map)
                    .map_err(failed("map the ids"))
                    .and_then(|()| {
                        join_groups(pid, groups).map_err(failed("join the control group"))
                    })
                    .and_then(|()| say_go.write_all(b"g").map_err(failed("start the guest")));
                if let Err(answer) = settled {
                    let kill = rustix::process::Signal::KILL;
                    let _ = rustix::process::pidfd_send_signal(&pidfd, kill);
                    return Err(answer);
                }
                Ok((pid, pidfd))
            }
        }
    }

    /// Keeps in mind which control groups there are.
    pub fn remember(&mut self, groups: Vec<PathBuf>) {
        if self.groups.len() > 1024 {
            self.groups.retain(|group| group.exists());
        }
        self.groups.extend(groups);
    }

    /// When the host is gone: ends every sandbox and stem, and removes what groups are left.
    pub fn clear_away(&mut self) {
        for _ in 0..2_000 {
            let own = std::process::id();
            let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
            let children = children.unwrap_or_default();
            for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            self.groups.retain(|group| group.exists() && std::fs::remove_dir(group).is_err());
            if children.is_empty() && self.groups.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Makes a stem, which joins the groups while nobody waits for it: the first join after a
    /// pause takes some 14 ms, as the kernel waits for all processors.
    pub fn stem(
        &mut self,
        socket: &OwnedFd,
        groups: &[OwnedFd],
        range: Option<u32>,
    ) -> Option<Answer> {
        // SAFETY: the zygote has one thread.
        match unsafe { sys::fork_into(0) } {
            Ok(None) => {
                let _ = sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
                super::handle::close_inherited_socket();
                self.life = None;
                self.serve_as_stem(socket, groups, range);
                sys::exit_now(0)
            }
            Ok(Some(_)) => None,
            Err(error) => Some(Answer::Failed {
                step: "fork".to_owned(),
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }),
        }
    }

    /// Joins, waits for the one request, and does it.
    fn serve_as_stem(&mut self, socket: &OwnedFd, groups: &[OwnedFd], range: Option<u32>) {
        // Zero stands for the writer.
        if join_groups(0, groups).is_err() {
            return;
        }
        if let Some(to) = range.filter(|_| self.abilities.idmap) {
            for from in [0, FIRST_ID] {
                // Tried again, and told, when it is needed.
                let _ = self.maps.get(Shift { from, to });
            }
        }
        send_answer(socket, &Answer::Done, None);
        let mut buffer = [0; 64];
        let Ok((1.., fds)) = wire::receive(socket, &mut buffer, RecvFlags::empty()) else { return };
        let mut fds = fds.into_iter();
        let (Some(plan), Some(guest)) = (fds.next(), fds.next()) else { return };
        let plan = wire::read_memory_file(&plan, PLAN_LIMIT)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        let Ok(Request::Create(plan)) = plan else { return };
        match self.create(*plan, &guest, &[], Parent::Zygote) {
            Ok((pid, pidfd)) => send_answer(&guest, &Answer::Spawned { pid }, Some(&pidfd)),
            Err(failed) => send_answer(&guest, &failed, None),
        }
    }

    /// Opens everything that the sandbox will not reach by path.
    fn open(&mut self, plan: &Plan) -> Result<Opened, Answer> {
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

const READ_ONLY: u64 = ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV;

/// Writes the new process into each group.
fn join_groups(pid: i32, groups: &[OwnedFd]) -> io::Result<()> {
    for group in groups {
        rustix::io::write(group, pid.to_string().as_bytes())?;
    }
    Ok(())
}
