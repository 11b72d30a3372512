//! An end that the log has and the store has not, as a process died between the two.

use std::collections::BTreeMap;

use quire_domain::attempt::{AttemptResult, AttemptState};
use quire_domain::event::EventBody;
use quire_domain::journal::Journal;
use quire_store::Write;

use super::Life;
use crate::error::RunError;

impl Life {
    /// Tells the store of an end that the log has; nothing is added to the log, as an end is last.
    pub(super) async fn settle(&self) -> Result<Option<AttemptState>, RunError> {
        let events = self.recorder.events().await?;
        let Some(EventBody::Finished(finished)) = events.last().map(|event| &event.body) else {
            return Ok(None);
        };
        // A bundle that was written holds more than one made now: what the citations point at.
        let sealed = crate::seal::bundle_path(&self.worker, self.row.id).exists()
            || crate::seal::seal(&self.worker, self.row.task, self.row.id, BTreeMap::new())
                .await
                .is_ok();
        let state = AttemptState::Done { outcome: finished.outcome.clone() };
        let result = AttemptResult {
            base: self.request().start.as_ref().map(|start| start.base.clone()),
            head: finished.head.clone(),
            diff_stat: finished.diff_stat,
            checks: crate::seal::checks_of(&events),
            partial: finished.partial,
            final_hash: sealed.then(|| self.recorder.last_hash()),
        };
        let write = Write {
            state: state.clone(),
            spent: finished.spent,
            result: Some(result),
            now: self.worker.clock.now(),
        };
        self.worker.store.set_state(self.row.id, self.row.epoch, write).await?;
        if self.request().attempts == 1 {
            self.worker.store.choose(self.turn.id, self.row.id).await?;
        }
        Ok(Some(state))
    }
}
