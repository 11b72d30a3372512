//! Stems: processes that stand ready in control groups of their own, so that making a sandbox
//! does not wait for the kernel to move one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quire_domain::sandbox::SandboxError;
use rustix::net::SendFlags;
use tokio::io::Interest;

use super::backend::{Maker, request};
use super::groups::Group;
use super::guest::{PATIENCE, creating, next_answer};
use super::slots::Slot;
use crate::plan::{Answer, Request};
use crate::wire;
use crate::zygote::FIRST_ID;

/// How many stand ready at first, and at most. Each costs some 0.5 ms of CPU, and a process that
/// works on one attempt needs another only for its checks.
const READY: (usize, usize) = (1, 4);

/// A process in its groups, which waits for a plan.
#[derive(Debug)]
pub struct Stem {
    socket: OwnedFd,
    /// Its control groups, which become the sandbox's.
    pub group: Group,
    /// Its range of ids, which becomes the sandbox's.
    pub slot: Option<Slot>,
}

impl Stem {
    /// Ends it: its process goes when its socket closes, its groups a little later.
    fn fell(self) {
        let Self { socket, mut group, .. } = self;
        drop(socket);
        group.remove_soon();
    }

    /// Hands the plan over; gives the guest's socket. One that does not take it has died.
    pub fn hand_over(&self, plan: &[u8]) -> std::io::Result<OwnedFd> {
        let (ours, theirs) = wire::socket_pair()?;
        let plan = wire::memory_file(&[plan])?;
        let fds = [plan.as_fd(), theirs.as_fd()];
        wire::send(&self.socket, b"plan", &fds, SendFlags::DONTWAIT)?;
        Ok(ours)
    }
}

/// The stems of a backend.
#[derive(Debug)]
pub struct Stems {
    ready: Mutex<Vec<Stem>>,
    /// How many are to stand ready: one more each time that none did.
    wanted: AtomicUsize,
}

impl Default for Stems {
    fn default() -> Self {
        Self { ready: Mutex::default(), wanted: AtomicUsize::new(READY.0) }
    }
}

impl Stems {
    /// Takes one, if one is ready.
    pub fn take(&self) -> Option<Stem> {
        let stem = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if stem.is_none() && self.wanted.load(Ordering::Relaxed) < READY.1 {
            self.wanted.fetch_add(1, Ordering::Relaxed);
        }
        stem
    }

    fn wanted(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }
}

impl Drop for Stems {
    /// At the end of the backend: nobody else would remove their groups.
    fn drop(&mut self) {
        let ready = std::mem::take(&mut *self.ready.lock().unwrap_or_else(PoisonError::into_inner));
        ready.into_iter().for_each(Stem::fell);
    }
}

/// Makes stems until enough are ready.
pub fn refill(maker: &Arc<Maker>) {
    let missing = {
        let ready = maker.stems.ready.lock().unwrap_or_else(PoisonError::into_inner);
        maker.stems.wanted().saturating_sub(ready.len())
    };
    if maker.abilities.userns_error.is_some() || missing == 0 {
        return;
    }
    // The maker may go meanwhile: then so does the zygote, and every stem with it.
    let weak = Arc::downgrade(maker);
    tokio::spawn(async move {
        for _ in 0..missing {
            let Some(maker) = weak.upgrade() else { return };
            let Ok(stem) = plant(&maker).await else { return };
            let mut ready = maker.stems.ready.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.len() < maker.stems.wanted() {
                ready.push(stem);
            } else {
                // Another refill was as quick.
                stem.fell();
            }
        }
    });
}

async fn plant(maker: &Maker) -> Result<Stem, SandboxError> {
    let (group, files) = maker.groups.make(None).map_err(creating("make a control group"))?;
    let slot = maker.take_slot()?;
    let shared = maker.abilities.root.then_some(FIRST_ID);
    let range = slot.as_ref().map(Slot::first_id).or(shared);
    let socket =
        request(&maker.zygote, &Request::Stem { range, groups: group.paths() }, &files).await?;
    wire::set_nonblocking(&socket).map_err(creating("hear from a stem"))?;
    let socket = wire::watch(socket, Interest::READABLE).map_err(creating("hear from a stem"))?;
    let answer = tokio::time::timeout(PATIENCE, next_answer(&socket)).await;
    match answer.map_err(|_| SandboxError::Timeout(PATIENCE))??.0 {
        Answer::Done => Ok(Stem { socket: socket.into_inner(), group, slot }),
        _ => Err(SandboxError::Gone("a stem gave an answer out of place".to_owned())),
    }
}
