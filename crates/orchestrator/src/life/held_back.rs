//! An attempt that is not to go on, although it was claimed: it was cancelled or paused before
//! anything was made for it.

use quire_domain::attempt::{AttemptState, SuspendReason};
use quire_domain::event::{Event, EventBody, Suspended};
use quire_domain::journal::Journal;

use quire_agent::Inputs;

use super::{Life, open};
use crate::error::RunError;
use crate::restore::has_acted;

impl Life {
    /// Ends an attempt that was cancelled and has nothing to be taken out, and lets one stand still
    /// that is paused, at once; `None` if it goes on. `before` is what the log said before this
    /// claim, which the log has by now.
    pub(super) async fn held_back(
        &self,
        before: &[Event],
    ) -> Result<Option<AttemptState>, RunError> {
        if self.cancel.is_cancelled() {
            let keeps = self.request().mode.keeps_changes();
            if keeps && has_acted(before) {
                return Ok(None);
            }
            if !keeps {
                let _ = self.worker.sandboxes.discard(&self.upper()).await;
            }
            return self.conclude(None, open::cancelled()).await.map(Some);
        }
        let Some(reason @ SuspendReason::Paused) = self.inputs.stand_still() else {
            return Ok(None);
        };
        let suspended = EventBody::Suspended(Suspended::of(reason));
        self.recorder.append(vec![suspended]).await?;
        let state = AttemptState::Suspended { reason };
        self.write_state(state.clone(), None).await?;
        self.heed_what_came(self.inputs.stood_for()).await?;
        Ok(Some(state))
    }

    /// Has the store do what people said after input `heard`, which this worker did not act on: it
    /// has given the attempt back, and nobody else would.
    pub(super) async fn heed_what_came(&self, heard: u64) -> Result<(), RunError> {
        let now = self.worker.clock.now();
        Ok(self.worker.store.heed_since(self.row.id, heard, now).await?)
    }

    /// The newest input that an attempt which stands there has acted on.
    pub(super) async fn acted_on(&self, state: &AttemptState) -> Result<u64, RunError> {
        if matches!(state, AttemptState::Suspended { .. }) {
            return Ok(self.inputs.stood_for());
        }
        let events = self.recorder.events().await?;
        let waiting = events.iter().rev().find_map(|event| match &event.body {
            EventBody::Waiting(waiting) => Some(waiting.after),
            _ => None,
        });
        Ok(waiting.unwrap_or_else(|| self.inputs.newest_seen()))
    }
}
