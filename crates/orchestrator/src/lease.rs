//! The lease on an attempt: renewed while its worker lives, given up when it cannot be.

use std::time::Duration;

use quire_domain::ids::{AttemptId, Epoch};
use quire_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// How long a claim holds without renewal, in milliseconds (DESIGN section 10).
pub const LEASE_MS: u64 = 30_000;

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

/// Renews the lease until dropped. `lost` is cancelled when another worker took over: stop at
/// once and write nothing more.
pub struct LeaseKeeper {
    task: tokio::task::JoinHandle<()>,
}

impl LeaseKeeper {
    /// Starts renewing.
    pub fn start(
        worker: &Worker,
        attempt: AttemptId,
        epoch: Epoch,
        lost: CancellationToken,
    ) -> Self {
        let worker = worker.clone();
        let task = tokio::spawn(async move {
            let mut failures = 0;
            loop {
                tokio::time::sleep(RENEW).await;
                let until = worker.clock.now().plus_millis(LEASE_MS);
                match worker.store.renew(attempt, epoch, until).await {
                    Ok(()) => failures = 0,
                    Err(StoreError::Fenced { .. }) => return lost.cancel(),
                    // Twice in a row is 20 s of 30: the next worker may claim it soon.
                    Err(_) if failures >= 1 => return lost.cancel(),
                    Err(_) => failures += 1,
                }
            }
        });
        Self { task }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}
