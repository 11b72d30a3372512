//! From a fresh fork to a locked sandbox: what the new process 1 does before it serves.

mod base;
mod devices;
mod door;
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
    /// How it is to be made.
    pub plan: Plan,
    /// What it is made from.
    pub opened: Opened,
    /// The guest's socket.
    pub socket: OwnedFd,
    /// Reads a byte when the ids are mapped and the limits set.
    pub go: OwnedFd,
    /// Never readable; closed when the zygote is gone.
    pub life: OwnedFd,
    /// The system-call filter.
    pub filter: &'a [libc::sock_filter],
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

/// Becomes process 1 of a sandbox; reports what fails and ends.
pub fn run(seed: Seed<'_>) -> ! {
    match build(&seed) {
        Ok(Built { degraded, upper, door }) => {
            let ready = Answer::Ready { degraded, upper: upper.is_some() };
            let fds: Vec<_> = upper.iter().chain(&door).map(AsFd::as_fd).collect();
            answer(&seed.socket, &ready, &fds);
            drop((upper, door));
            let Seed { plan, opened, socket, life, .. } = seed;
            drop((plan, opened));
            give_memory_back();
            guest::run(socket.into_raw_fd(), life.into_raw_fd())
        }
        Err(StepError { step, source }) => {
            let errno = source.raw_os_error().unwrap_or(libc::EIO);
            answer(&seed.socket, &Answer::Failed { step, errno }, &[]);
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

/// All steps in order.
fn build(seed: &Seed<'_>) -> Result<Built, StepError> {
    let mut degraded = Vec::new();
    wait_for_go(&seed.go).step("wait for the id maps")?;
    lock::become_root_inside().step("switch to the mapped ids")?;
    let root = base::make_root(&seed.plan, &seed.opened)?;
    let upper = overlay::memory_upper(&seed.plan).step("open the upper")?;
    proc::mount(&root, &mut degraded)?;
    overlay::mount_all(&seed.plan, &seed.opened, &root)?;
    base::enter(root.as_fd())?;
    // Only now: links that its commands left lead inside.
    base::finish(&seed.plan, &root)?;
    base::close(&seed.plan, &root)?;
    lock::network_and_name().step("raise the loopback device")?;
    let door = seed.plan.door.map(door::open).transpose().step("open the way out")?;
    lock::lock(&seed.plan, seed.filter, &mut degraded)?;
    Ok(Built { degraded, upper, door })
}

fn wait_for_go(go: &OwnedFd) -> io::Result<()> {
    let mut byte = [0];
    match rustix::io::read(go, &mut byte)? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
