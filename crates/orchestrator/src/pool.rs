//! A worker's slots: attempts that were handed out, at work side by side.
//!
//! An attempt holds its slot while something is done in it. One that ended, stands still, or waits
//! for a person has none: it is offered again when somebody said something.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_domain::attempt::{AttemptState, FailureKind, Outcome};
use quire_domain::ids::AttemptId;
use quire_engine::{Claimed, Dispatch, Handed, Offer, Pool};
use quire_store::{Claim, ClaimError, StoreError, Write};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::leaving::LET_GO;
use crate::life;
use crate::prepare::causes;
use crate::worker::Worker;

/// How long it waits after the queue could not be reached.
const AGAIN: Duration = Duration::from_secs(1);

/// How long one is put back that could not be worked on for want of room on the disk.
const NO_ROOM: Duration = Duration::from_secs(30);

/// How often the queue is told that an attempt is still at work.
const EXTEND: Duration = Duration::from_secs(10);

/// How often an attempt may break off before anything of it could be recorded.
const MOST_LOSSES: u32 = 5;

/// The slots of one worker.
pub struct Slots {
    worker: Worker,
    dispatch: Arc<dyn Dispatch>,
    free: Arc<Semaphore>,
    running: Running,
}

/// The attempts that this process has in its hands.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashSet<AttemptId>>>);

impl Running {
    /// Whether it is one of them.
    pub fn has(&self, attempt: AttemptId) -> bool {
        self.lock().contains(&attempt)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Notes that it is one of them, as long as what is given lives.
    pub(crate) fn begin(&self, attempt: AttemptId) -> AtWork {
        self.lock().insert(attempt);
        AtWork { all: self.clone(), attempt }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<AttemptId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, an attempt is one of those that run.
pub(crate) struct AtWork {
    all: Running,
    attempt: AttemptId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.all.lock().remove(&self.attempt);
    }
}

impl Slots {
    /// `slots` of them, at least one.
    pub fn new(worker: Worker, dispatch: Arc<dyn Dispatch>, slots: usize) -> Self {
        let free = Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS)));
        Self { worker, dispatch, free, running: Running::default() }
    }

    /// What runs here.
    pub fn running(&self) -> Running {
        self.running.clone()
    }

    /// Takes attempts and works on them until `stop`; then asks those at work to let go, for
    /// `patience` at most, and returns when none is left.
    pub async fn work(&self, stop: CancellationToken, patience: Duration) {
        let mut at_work = JoinSet::new();
        while let Some(begun) = stop.run_until_cancelled(self.next()).await {
            for (offer, slot) in begun {
                let running = self.running.begin(offer.handed().attempt);
                at_work.spawn(attend(self.worker.clone(), offer, slot, running));
            }
            while at_work.try_join_next().is_some() {}
        }
        self.worker.leaving.ask();
        let all_ended = async { while at_work.join_next().await.is_some() {} };
        if timeout(patience, all_ended).await.is_ok() {
            return;
        }
        self.worker.leaving.insist();
        let all_ended = async { while at_work.join_next().await.is_some() {} };
        // One that does not let go by then loses its lease: nothing of it is lost.
        let _ = timeout(LET_GO * 2, all_ended).await;
    }

    /// Waits for a free slot, then for an attempt.
    async fn next(&self) -> Vec<(Box<dyn Offer>, OwnedSemaphorePermit)> {
        let Ok(first) = Arc::clone(&self.free).acquire_owned().await else {
            return std::future::pending().await;
        };
        let room = self.free.available_permits().saturating_add(1);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let pool = Pool { worker: self.worker.place.worker.clone(), room };
        let Ok(offers) = self.dispatch.next(&pool).await else {
            sleep(AGAIN).await;
            return Vec::new();
        };
        let mut first = Some(first);
        let mut begun = Vec::with_capacity(offers.len());
        for offer in offers {
            let another = || Arc::clone(&self.free).try_acquire_owned().ok();
            // Only this takes slots, so there is one for each.
            if let Some(slot) = first.take().or_else(another) {
                begun.push((offer, slot));
            } else {
                let _ = offer.release(Duration::ZERO).await;
            }
        }
        begun
    }
}

/// Works on one attempt and tells the queue how it stands.
async fn attend(
    worker: Worker,
    offer: Box<dyn Offer>,
    slot: OwnedSemaphorePermit,
    running: AtWork,
) {
    let handed = offer.handed();
    let run = Box::pin(run(&worker, handed));
    let ended = tokio::select! {
        ended = run => ended,
        () = extend(offer.as_ref()) => return,
    };
    // What cannot be told now shows in the lease later.
    let _ = match ended {
        Ok(Some(_)) | Err(RunError::Claim(ClaimError::Done)) => offer.done().await,
        Ok(None) => offer.release(Duration::ZERO).await,
        Err(
            RunError::Claim(ClaimError::Held { .. }) | RunError::Store(StoreError::Fenced { .. }),
        ) => offer.lost().await,
        Err(error) if error.is_disk_full() => offer.release(NO_ROOM).await,
        // Dropped: it is offered again when the lease is over, which counts it among those that a
        // worker was lost over.
        Err(error) => {
            let attempt = handed.attempt;
            tracing::warn!(%attempt, error = %causes(&error), "an attempt broke off");
            Ok(())
        }
    };
    drop(running);
    drop(slot);
}

async fn run(worker: &Worker, handed: Handed) -> Result<Option<AttemptState>, RunError> {
    let claim = match handed.claim {
        Some(Claimed { epoch, losses }) => Claim { epoch, losses },
        None => crate::lease::claim(worker, handed.attempt).await?,
    };
    let cancel = CancellationToken::new();
    let ended = life::run_claimed(worker, handed.attempt, claim, None, cancel).await;
    match ended {
        Err(error) if claim.losses >= MOST_LOSSES && is_ours(&error) => {
            give_up(worker, handed, claim, &error).await.map(Some)
        }
        ended => ended,
    }
}

/// Whether an error says that something of ours is broken, and not that somebody else has the
/// attempt or that there is no room.
fn is_ours(error: &RunError) -> bool {
    let taken = matches!(error, RunError::Claim(_) | RunError::Store(StoreError::Fenced { .. }));
    !taken && !error.is_disk_full()
}

/// Ends an attempt that breaks off each time before its own life could count that.
async fn give_up(
    worker: &Worker,
    handed: Handed,
    claim: Claim,
    error: &RunError,
) -> Result<AttemptState, RunError> {
    let detail = format!("it broke off {MOST_LOSSES} times: {}", causes(error));
    let kind = FailureKind::Infrastructure;
    let state = AttemptState::Done { outcome: Outcome::Failed { kind, detail } };
    let spent = worker.store.attempt_by_id(handed.attempt).await?.spent;
    let write = Write { state: state.clone(), spent, result: None, now: worker.clock.now() };
    worker.store.set_state(handed.attempt, claim.epoch, write).await?;
    Ok(state)
}

/// Says that it is still at work; returns when the queue says that it is not.
async fn extend(offer: &dyn Offer) {
    loop {
        sleep(EXTEND).await;
        if matches!(offer.extend().await, Err(quire_engine::DispatchError::NotOffered { .. })) {
            return;
        }
    }
}
