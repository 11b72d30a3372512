//! The queue of one installation: rows of the store, and a wake-up where this process wrote one.
//!
//! Handing out is claiming, in one transaction: whose turn it is and what is at work are read where
//! nobody else writes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_domain::ids::AttemptId;
use quire_domain::time::Clock;
use quire_engine::{Claimed, Dispatch, DispatchError, Handed, Offer, Pool};
use quire_store::{Store, StoreError, Taken};
use tokio::time::{sleep, timeout};

use crate::lease::LEASE_MS;

/// How often it is looked without news: other processes submit too, and what may not begin before
/// some time comes due.
const LOOK: Duration = Duration::from_secs(1);

/// How long after news it is looked at the earliest: many commits are one look.
const GATHER: Duration = Duration::from_millis(5);

/// Attempts handed out over the table.
pub struct LocalDispatch {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl LocalDispatch {
    /// Over this store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

#[async_trait]
impl Dispatch for LocalDispatch {
    async fn offer(&self, attempt: AttemptId) -> Result<(), DispatchError> {
        match self.store.offer(attempt, self.clock.now()).await {
            Ok(_) => Ok(()),
            Err(error @ StoreError::NotFound { .. }) => {
                Err(DispatchError::NotOffered { attempt, why: error.to_string() })
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn next(&self, pool: &Pool) -> Result<Vec<Box<dyn Offer>>, DispatchError> {
        // From before the look, so that nothing falls between the two.
        let mut commits = self.store.commits();
        loop {
            commits.mark_unchanged();
            let now = self.clock.now();
            let taken = self.store.take(&pool.worker, now, LEASE_MS, pool.room).await;
            let taken = taken.map_err(unreachable)?;
            if !taken.is_empty() {
                return Ok(taken.into_iter().map(|taken| self.offer_of(taken)).collect());
            }
            if matches!(timeout(LOOK, commits.changed()).await, Ok(Ok(()))) {
                sleep(GATHER).await;
            }
        }
    }
}

impl LocalDispatch {
    fn offer_of(&self, taken: Taken) -> Box<dyn Offer> {
        Box::new(LocalOffer { store: self.store.clone(), clock: Arc::clone(&self.clock), taken })
    }
}

/// An attempt that this process holds by its lease.
struct LocalOffer {
    store: Store,
    clock: Arc<dyn Clock>,
    taken: Taken,
}

#[async_trait]
impl Offer for LocalOffer {
    fn handed(&self) -> Handed {
        let Taken { attempt, claim } = self.taken;
        Handed { attempt, claim: Some(Claimed { epoch: claim.epoch, losses: claim.losses }) }
    }

    /// The lease in the row is what holds it, and whoever works on the attempt renews that.
    async fn extend(&self) -> Result<(), DispatchError> {
        Ok(())
    }

    /// The row says so already.
    async fn done(self: Box<Self>) -> Result<(), DispatchError> {
        Ok(())
    }

    async fn release(self: Box<Self>, delay: Duration) -> Result<(), DispatchError> {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let not_before = self.clock.now().plus_millis(delay);
        let Taken { attempt, claim } = self.taken;
        match self.store.give_back(attempt, claim.epoch, not_before).await {
            // It ended, or somebody has it.
            Ok(()) | Err(StoreError::Fenced { .. }) => Ok(()),
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn lost(self: Box<Self>) -> Result<(), DispatchError> {
        Ok(())
    }
}

fn unreachable(error: StoreError) -> DispatchError {
    DispatchError::Unreachable(Box::new(error))
}
