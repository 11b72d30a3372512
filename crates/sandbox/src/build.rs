//! From a fresh fork to a locked sandbox: what the new process 1 does before it serves.

mod base;
mod devices;
mod door;
pub mod handover;
mod landlock;
mod lock;
mod overlay;
mod proc;
pub mod seccomp;
mod state;
mod tree;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd as _, OwnedFd};

use rustix::net::SendFlags;

use self::base::Bare;
use crate::plan::{Answer, Plan};
use crate::{guest, sys, wire};

/// Mounts of the host's that the zygote opened, attached nowhere yet.
pub struct Opened {
    /// The disk upper.
    pub upper: Option<OwnedFd>,
    /// The layers of the root, topmost first.
    pub root: Vec<OwnedFd>,
    /// System directories by their name in the root.
    pub system: Vec<(String, System)>,
    /// What each mount of the plan needs.
    pub mounts: Vec<OpenedMount>,
}

/// A system directory of the host.
pub enum System {
    /// Shown read-only.
    Mount(OwnedFd),
    /// Made again as the link it is.
    Link(std::path::PathBuf),
}

/// What one mount of the plan needs.
pub enum OpenedMount {
    /// The layers of an overlay, topmost first.
    Overlay(Vec<OwnedFd>),
    /// A bind, and whether it is a directory; `None` where it is absent and may be.
    Bind(Option<(OwnedFd, bool)>),
}

/// What the new process is handed.
pub struct Seed<'a> {
    /// Reads a byte when the ids are mapped and the limits set.
    pub go: OwnedFd,
    /// Never readable; closed when the zygote is gone.
    pub life: OwnedFd,
    /// The system-call filters.
    pub filters: Filters<'a>,
    /// What it is to become.
    pub task: Awaited,
}

/// The system-call filters of each kind of sandbox.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    /// For the agent's.
    pub agent: &'a [libc::sock_filter],
    /// For setup's.
    pub setup: &'a [libc::sock_filter],
}

/// What is to be made, if it is known.
pub enum Awaited {
    /// It is.
    Known(Box<Task>),
    /// It comes on this socket, when what every sandbox has is made.
    Later(OwnedFd),
}

/// What is to be made.
pub struct Task {
    /// How it is to be made.
    pub plan: Plan,
    /// What it is made from.
    pub opened: Opened,
    /// The guest's socket.
    pub socket: OwnedFd,
}

/// A step that failed.
pub struct StepError {
    /// What was being done.
    pub step: String,
    /// What the system said.
    pub source: io::Error,
}

/// Names what was being done when it fails.
pub trait Step<T> {
    /// Adds the name.
    fn step(self, step: &str) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, StepError> {
        self.map_err(|source| StepError { step: step.to_owned(), source: source.into() })
    }
}

/// What a process is called that waits for what it is to become.
const BUD: &std::ffi::CStr = c"quire-bud";

/// Becomes process 1 of a sandbox; reports what fails and ends.
pub fn run(seed: Seed<'_>) -> ! {
    let Seed { go, life, filters, task } = seed;
    let own = rustix::thread::name().unwrap_or_default();
    if matches!(task, Awaited::Later(_)) {
        let _ = rustix::thread::set_name(BUD);
    }
    let bare = begin(&go);
    let task = match task {
        Awaited::Known(task) => *task,
        // Whoever should have sent it is gone.
        Awaited::Later(socket) => {
            let Ok(Some(task)) = handover::take(&socket) else { sys::exit_now(0) };
            let _ = rustix::thread::set_name(&own);
            task
        }
    };
    match bare.and_then(|bare| finish(bare, &task, filters)) {
        Ok(Built { degraded, upper, door }) => {
            let ready = Answer::Ready { degraded, upper: upper.is_some() };
            let fds: Vec<_> = upper.iter().chain(&door).map(AsFd::as_fd).collect();
            answer(&task.socket, &ready, &fds);
            drop((upper, door));
            let Task { plan, opened, socket } = task;
            drop((plan, opened));
            give_memory_back();
            guest::run(socket.into_raw_fd(), life.into_raw_fd())
        }
        Err(StepError { step, source }) => {
            let errno = source.raw_os_error().unwrap_or(libc::EIO);
            answer(&task.socket, &Answer::Failed { step, errno }, &[]);
            sys::exit_now(71)
        }
    }
}

/// What follows allocates nothing more.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: releases what the allocator holds unused.
    unsafe {
        libc::malloc_trim(0)
    };
}

fn answer(socket: &OwnedFd, answer: &Answer, fds: &[BorrowedFd<'_>]) {
    if let Ok(bytes) = serde_json::to_vec(answer) {
        let _ = wire::send(socket, &bytes, fds, SendFlags::empty());
    }
}

/// What a sandbox has that the host could not get by itself.
struct Built {
    /// What is weaker than it should be.
    degraded: Vec<String>,
    /// An upper in memory.
    upper: Option<OwnedFd>,
    /// The listener of its way out.
    door: Option<OwnedFd>,
}

/// The steps that are the same for all sandboxes.
fn begin(go: &OwnedFd) -> Result<Bare, StepError> {
    wait_for_go(go).step("wait for the id maps")?;
    lock::become_root_inside().step("switch to the mapped ids")?;
    lock::network_and_name().step("raise the loopback device")?;
    base::make_bare()
}

/// The steps that hang on what is to be made.
fn finish(bare: Bare, task: &Task, filters: Filters<'_>) -> Result<Built, StepError> {
    let Task { plan, opened, .. } = task;
    let mut degraded = bare.degraded.clone();
    let root = base::make_root(plan, opened, bare)?;
    let upper = overlay::memory_upper(plan).step("open the upper")?;
    overlay::mount_all(plan, opened, &root)?;
    base::enter(root.as_fd())?;
    // Only now: links that its commands left lead inside.
    base::finish(plan, &root)?;
    base::close(plan, &root)?;
    let door = plan.door.map(door::open).transpose().step("open the way out")?;
    let filter = if plan.setup { filters.setup } else { filters.agent };
    lock::lock(plan, filter, &mut degraded)?;
    Ok(Built { degraded, upper, door })
}

fn wait_for_go(go: &OwnedFd) -> io::Result<()> {
    let mut byte = [0];
    match rustix::io::read(go, &mut byte)? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
