//! What an attempt has used, told to the store when its run ends.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::attempt::{AttemptState, SuspendReason};
use quire_domain::event::{Event, EventBody};
use quire_domain::journal::Journal;

use super::Life;
use crate::error::RunError;
use crate::gateway::{Account, Caller, Opened, waits_in};

/// How often the store is told of an attempt at work.
const TELL: Duration = Duration::from_secs(10);

impl Life {
    /// The model that the attempt asks.
    pub(super) async fn open_model(&self) -> Result<Result<Opened, String>, RunError> {
        // At the first claim nothing was asked yet.
        let first = self.row.epoch.0 <= 1;
        let log = if first { Vec::new() } else { self.recorder.events().await? };
        let caller = Caller {
            task: self.row.task,
            attempt: self.row.id,
            epoch: self.row.epoch,
            mode: self.request().mode,
            model: self.request().model.clone(),
            waited: waits_in(&log),
        };
        Ok(self.worker.gateway.open(caller, &log).await)
    }

    /// Tells the store now and then what was used.
    pub(super) fn keep_account(&self, account: Arc<Account>) -> tokio::task::JoinHandle<()> {
        let gateway = self.worker.gateway.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TELL).await;
                // What cannot be written now is written the next time, and at the end from the log.
                let _ = gateway.flush(&account).await;
            }
        })
    }

    /// Writes what the log says was used, and when to look again at what stands still for want of
    /// a quota.
    pub(super) async fn settle_account(
        &self,
        events: &[Event],
        state: &AttemptState,
    ) -> Result<(), RunError> {
        let (attempt, epoch) = (self.row.id, self.row.epoch);
        if self.trial.is_some() {
            return Ok(());
        }
        self.worker.gateway.close(attempt, epoch, events).await?;
        if *state != (AttemptState::Suspended { reason: SuspendReason::Quota }) {
            return Ok(());
        }
        let until = events.iter().rev().find_map(|event| match &event.body {
            EventBody::Suspended(suspended) => Some(suspended.until),
            _ => None,
        });
        if let Some(until) = until.flatten() {
            self.worker.store.hold_until(attempt, epoch, until).await?;
        }
        Ok(())
    }
}
