//! Forking one sandbox: mounts of the host's opened, namespaces made, ids mapped, limits set.

use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::net::RecvFlags;

use super::idmap::{self, IdMaps, RANGE, Shift};
use super::serve::{PLAN_LIMIT, send_answer};
use super::{own, remove};
use crate::build::seccomp::{self, Filtered};
use crate::build::{self, Awaited, Filters, Seed, Task, handover};
use crate::plan::{Abilities, Answer, Plan, Request};
use crate::sys::{self, ATTR_RDONLY};
use crate::wire;

/// The first id of slot 0, in whose range everything of sandboxes is stored. Above what
/// systemd and the usual sub-ids hand out, below 2^31.
pub const FIRST_ID: u32 = 0x7000_0000;

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
    pub(super) maps: IdMaps,
    agent_filter: Vec<libc::sock_filter>,
    setup_filter: Vec<libc::sock_filter>,
    /// Held for life: its closing tells the guests that the zygote is gone.
    life: Option<OwnedFd>,
    life_reader: OwnedFd,
    /// Control groups of its sandboxes, for the end.
    groups: Vec<PathBuf>,
    /// Trees that go with the host.
    forfeited: Vec<PathBuf>,
}

impl Nursery {
    /// Finds out what this process may do, and takes the namespaces that it works from.
    pub fn prepare() -> io::Result<Self> {
        let abilities = own::settle();
        let setup = if abilities.ids == 1 { Filtered::SetupOfOneId } else { Filtered::Setup };
        let (life_reader, life) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(Self {
            abilities,
            maps: IdMaps::default(),
            agent_filter: seccomp::filter(Filtered::Agent),
            setup_filter: seccomp::filter(setup),
            life: Some(life),
            life_reader,
            groups: Vec::new(),
            forfeited: Vec::new(),
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
        let opened = self.open(&plan)?;
        let socket = socket.as_raw_fd();
        self.fork(plan.range, groups, parent, move || {
            // SAFETY: the child's own copy, used by nobody else in it.
            let socket = unsafe { OwnedFd::from_raw_fd(socket) };
            Awaited::Known(Box::new(Task { plan, opened, socket }))
        })
    }

    /// Makes a bud: a process in namespaces of its own with all that every sandbox has, which
    /// waits for the rest. It ends when the socket does.
    fn bud(&self, range: Option<u32>) -> Result<Bud, Answer> {
        let (ours, theirs) = wire::socket_pair().map_err(failed("make a socket"))?;
        let own = ours.as_raw_fd();
        let (pid, pidfd) = self.fork(range, &[], Parent::Zygote, move || {
            // SAFETY: the child's copy of the other end, which would keep it waiting for itself.
            unsafe { libc::close(own) };
            Awaited::Later(theirs)
        })?;
        Ok(Bud { socket: ours, pid, pidfd })
    }

    /// Forks into new namespaces; `task` is called in the child.
    fn fork(
        &self,
        range: Option<u32>,
        groups: &[OwnedFd],
        parent: Parent,
        task: impl FnOnce() -> Awaited,
    ) -> Result<(i32, OwnedFd), Answer> {
        let (go, mut say_go) = std::io::pipe().map_err(failed("make a pipe"))?;
        let map = match range {
            Some(first) => vec![(0, first, RANGE)],
            None if self.abilities.ids == 1 => vec![(0, 0, 1)],
            // As our own are mapped: a line must lie within one of theirs.
            None => vec![(0, 0, 1), (1, 1, self.abilities.ids - 1)],
        };
        // SAFETY: the zygote has one thread.
        let forked = unsafe { sys::fork_into(NAMESPACES | parent.flag()) };
        match forked.map_err(failed("make namespaces"))? {
            None => {
                drop(say_go);
                // SAFETY: the child's own copy, used by nobody else in it.
                let life = unsafe { OwnedFd::from_raw_fd(self.life_reader.as_raw_fd()) };
                let filters = Filters { agent: &self.agent_filter, setup: &self.setup_filter };
                build::run(Seed { go: go.into(), life, filters, task: task() })
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

    /// Has a tree removed at the end, if it still has this name then.
    pub fn forfeit(&mut self, tree: PathBuf) {
        self.forfeited.retain(|other| other.exists());
        self.forfeited.push(tree);
    }

    /// When the host is gone: ends every sandbox and stem, removes what groups are left, and what
    /// was forfeited.
    pub fn clear_away(&mut self) {
        self.end_all();
        for tree in &self.forfeited {
            // What was killed a moment ago may still be writing.
            for _ in 0..10 {
                if remove::remove(tree).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }

    fn end_all(&mut self) {
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
        // While nobody waits for it, either.
        let bud = self.bud(range).ok();
        let mut buffer = [0; 64];
        let Ok((1.., fds)) = wire::receive(socket, &mut buffer, RecvFlags::empty()) else { return };
        let mut fds = fds.into_iter();
        let (Some(request), Some(guest)) = (fds.next(), fds.next()) else { return };
        let plan = wire::read_memory_file(&request, PLAN_LIMIT)
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        let Ok(Request::Create(plan)) = plan else { return };
        let made = match bud.filter(|_| plan.range == range) {
            Some(bud) => self.open(&plan).and_then(|opened| {
                handover::give(&bud.socket, &request, opened, &guest)
                    .map_err(failed("hand the plan over"))
                    .map(|()| (bud.pid, bud.pidfd))
            }),
            None => self.create(*plan, &guest, &[], Parent::Zygote),
        };
        match made {
            Ok((pid, pidfd)) => send_answer(&guest, &Answer::Spawned { pid }, Some(&pidfd)),
            Err(failed) => send_answer(&guest, &failed, None),
        }
    }
}

/// A sandbox in the making, which waits for its plan on the other end of the socket.
struct Bud {
    socket: OwnedFd,
    pid: i32,
    pidfd: OwnedFd,
}

/// Names the step that failed.
fn failed(step: &str) -> impl FnOnce(io::Error) -> Answer + use<> {
    let step = step.to_owned();
    move |error| Answer::Failed { step, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// Writes the new process into each group.
fn join_groups(pid: i32, groups: &[OwnedFd]) -> io::Result<()> {
    for group in groups {
        rustix::io::write(group, pid.to_string().as_bytes())?;
    }
    Ok(())
}
