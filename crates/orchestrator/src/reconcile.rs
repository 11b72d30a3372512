//! Brings the queue in line with what is so: at the start of a worker, and every ten seconds.
//!
//! A worker that died says nothing. Its attempts are offered again once it is known to be gone or
//! their leases ran out, and what it left on the disk is cleared away. An attempt that stands still
//! for want of room is offered again when there is some.

use std::time::Duration;

use quire_domain::attempt::SuspendReason;
use quire_domain::ids::AttemptId;
use quire_domain::time::Timestamp;
use quire_store::{Lease, StoreError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::keep::{Keep, sweep};
use crate::lease::{LEASE_MS, is_gone};
use crate::pool::Running;
use crate::worker::Worker;

/// How often it is done.
const EVERY: Duration = Duration::from_secs(10);

/// How often what is kept on the disk is looked through.
const SWEEP: Duration = Duration::from_mins(10);

/// A lease of this process that nobody here renewed for this long, in milliseconds, is nobody's.
const NOT_RENEWED_MS: u64 = 15_000;

/// Room on the disk that an attempt needs to go on, in bytes.
const ROOM: u64 = 256 << 20;

/// Reconciles until `stop`.
pub async fn reconcile(worker: &Worker, running: &Running, keep: Keep, stop: CancellationToken) {
    let mut swept: Option<Instant> = None;
    loop {
        // A store that cannot be reached now is looked at again.
        let _ = take_over(worker, running).await;
        let _ = wake(worker).await;
        let _ = worker.gateway.keep().await;
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            if stop.run_until_cancelled(sweep(worker, keep)).await.is_none() {
                return;
            }
        }
        if stop.run_until_cancelled(sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Offers again what workers had that are gone; gives how many.
///
/// # Errors
///
/// The store cannot be read or written.
pub async fn take_over(worker: &Worker, running: &Running) -> Result<usize, StoreError> {
    let now = worker.clock.now();
    let mut again = 0;
    for (attempt, lease) in worker.store.taken().await? {
        if is_over(worker, running, attempt, &lease, now)
            && worker.store.offer_again(attempt, lease.epoch, now).await?
        {
            again += 1;
        }
    }
    Ok(again)
}

fn is_over(
    worker: &Worker,
    running: &Running,
    attempt: AttemptId,
    lease: &Lease,
    now: Timestamp,
) -> bool {
    if lease.worker == worker.place.worker {
        // One that this process stood still over, stopped for longer than a lease, is still its
        // own: only who has another epoch could have taken it.
        let not_renewed = lease.until < now.plus_millis(LEASE_MS - NOT_RENEWED_MS);
        return !running.has(attempt) && not_renewed;
    }
    lease.until <= now || is_gone(&lease.worker, &worker.place.host)
}

/// Offers again what stands still for want of room, where there is some.
async fn wake(worker: &Worker) -> Result<(), StoreError> {
    let standing = worker.store.standing(SuspendReason::DiskFull).await?;
    if standing.is_empty() || free(&worker.place.data_dir) < ROOM {
        return Ok(());
    }
    for attempt in standing {
        worker.store.offer(attempt, worker.clock.now()).await?;
    }
    Ok(())
}

/// Bytes that are free for us where `dir` lies.
fn free(dir: &std::path::Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}
