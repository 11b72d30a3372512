//! What follows an end that the log has: it is signed, and the store is told. Also later, where a
//! process died between the two.

use std::collections::BTreeMap;

use quire_domain::attempt::{AttemptResult, AttemptState};
use quire_domain::event::{Event, EventBody, Finished};
use quire_domain::ids::Sha256;
use quire_domain::journal::Journal;
use quire_store::Write;

use super::Life;
use crate::error::RunError;
use crate::plan::carrying_out;

impl Life {
    /// Tells the store of an end that the log has; nothing is added to the log, as an end is last.
    pub(super) async fn settle(&self) -> Result<Option<AttemptState>, RunError> {
        if self.recorder.is_empty() {
            return Ok(None);
        }
        let events = self.recorder.events().await?;
        match events.last().map(|event| &event.body) {
            Some(EventBody::Finished(finished)) => {
                self.keep_what_is_left().await;
                self.tell_store(finished, &events, BTreeMap::new()).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Signs what was recorded and tells the store. Safe to repeat.
    pub(super) async fn tell_store(
        &self,
        finished: &Finished,
        events: &[Event],
        contents: BTreeMap<Sha256, Vec<u8>>,
    ) -> Result<AttemptState, RunError> {
        // A bundle that was written holds more than one made again: what the citations point at.
        // Evidence that cannot be signed leaves the attempt without: the log has all of it.
        let sealed = crate::seal::bundle_path(&self.worker, self.row.id).exists()
            || crate::seal::seal(&self.worker, self.row.task, self.row.id, contents).await.is_ok();
        let state = AttemptState::Done { outcome: finished.outcome.clone() };
        let result = AttemptResult {
            base: self.request().start.as_ref().map(|start| start.base.clone()),
            head: finished.head.clone(),
            diff_stat: finished.diff_stat,
            checks: crate::seal::checks_of(events),
            partial: finished.partial,
            final_hash: sealed.then(|| self.recorder.last_hash()),
        };
        self.settle_account(events, &state).await?;
        let now = self.worker.clock.now();
        let write =
            Write { state: state.clone(), spent: finished.spent, result: Some(result), now };
        let then = Box::pin(carrying_out(&self.worker, &self.turn, self.row.id, events)).await?;
        let then = then.map(Box::new);
        let written = self.worker.store.set_state_then(self.row.id, self.row.epoch, write, then);
        Box::pin(written).await?;
        if self.request().attempts == 1 {
            self.worker.store.choose(self.turn.id, self.row.id, now).await?;
        }
        Ok(state)
    }
}
