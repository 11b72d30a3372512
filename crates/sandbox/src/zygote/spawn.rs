//! Forking one sandbox: mounts of the host's opened, namespaces made, ids mapped, limits set.

use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::net::RecvFlags;

use super::idmap::{self, IdMaps, RANGE, Shift};
use super::own;
use super::serve::{PLAN_LIMIT, send_answer};
use crate::build::seccomp::{self, Filtered};
use crate::build::{self, Seed};
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
}

/// Writes the new process into each group.
fn join_groups(pid: i32, groups: &[OwnedFd]) -> io::Result<()> {
    for group in groups {
        rustix::io::write(group, pid.to_string().as_bytes())?;
    }
    Ok(())
}
