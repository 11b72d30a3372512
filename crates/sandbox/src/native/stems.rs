//! Stems: processes that stand ready in control groups of their own, so that making a sandbox
//! does not wait for the kernel to move one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

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

/// How long after a creation the next stem is begun: its making takes a processor for some 3 ms,
/// which the first command of the new sandbox would share.
pub const AFTER_CREATION: Duration = Duration::from_millis(10);

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
pub struct Stems(Mutex<Bed>);

#[derive(Debug)]
struct Bed {
    ready: Vec<Stem>,
    /// How many are to stand ready: one more each time that none did.
    wanted: usize,
    /// Whether somebody makes those that are missing.
    planting: bool,
}

impl Default for Stems {
    fn default() -> Self {
        Self(Mutex::new(Bed { ready: Vec::new(), wanted: READY.0, planting: false }))
    }
}

impl Stems {
    /// Takes one, if one is ready.
    pub fn take(&self) -> Option<Stem> {
        let mut bed = self.bed();
        let stem = bed.ready.pop();
        if stem.is_none() && bed.wanted < READY.1 {
            bed.wanted += 1;
        }
        stem
    }

    fn bed(&self) -> MutexGuard<'_, Bed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller is to make what is missing, and nobody else does.
    fn begin_planting(&self) -> bool {
        let mut bed = self.bed();
        let begin = !bed.planting && bed.ready.len() < bed.wanted;
        bed.planting |= begin;
        begin
    }

    /// Adds one, if it could be made; whether another is missing. Else the planting is over.
    fn go_on_planting(&self, stem: Option<Stem>) -> bool {
        let mut bed = self.bed();
        let failed = stem.is_none();
        bed.ready.extend(stem);
        bed.planting = !failed && bed.ready.len() < bed.wanted;
        bed.planting
    }
}

impl Drop for Stems {
    /// At the end of the backend: nobody else would remove their groups.
    fn drop(&mut self) {
        let ready = std::mem::take(&mut self.bed().ready);
        for Stem { socket, mut group, .. } in ready {
            // It ends when its socket closes.
            drop(socket);
            group.remove_soon();
        }
    }
}

/// Makes stems until enough are ready, beginning after a pause.
pub fn refill(maker: &Arc<Maker>, after: Duration) {
    if maker.abilities.userns_error.is_some() || !maker.stems.begin_planting() {
        return;
    }
    tokio::spawn(fill(Arc::downgrade(maker), after));
}

/// The maker may go meanwhile: then so does the zygote, and every stem with it.
async fn fill(maker: Weak<Maker>, after: Duration) {
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    loop {
        let Some(maker) = maker.upgrade() else { return };
        let stem = plant(&maker).await.ok();
        if !maker.stems.go_on_planting(stem) {
            return;
        }
    }
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
