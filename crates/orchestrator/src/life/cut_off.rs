//! Commands that the death of a process cut off.

use std::collections::BTreeSet;

use quire_domain::event::{CommandFinished, EndedBy, Event, EventBody};
use quire_domain::ids::ChunkId;
use quire_domain::journal::{ChunkSummary, Journal};
use quire_domain::sandbox::ExitStatus;

use super::Life;
use crate::error::RunError;

impl Life {
    /// An end for each command that began in the log and has none there, also if its output was
    /// whole by then. What it printed is kept.
    pub(super) async fn ends_of_cut_off(
        &self,
        events: &[Event],
    ) -> Result<Vec<EventBody>, RunError> {
        // A file that was opened for a command that never began is closed, and says nothing.
        self.recorder.finish_interrupted().await?;
        let ended: BTreeSet<&ChunkId> = events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::CommandFinished(finished) => Some(&finished.chunk.id),
                _ => None,
            })
            .collect();
        let mut ends = Vec::new();
        for event in events {
            let EventBody::CommandStarted(begun) = &event.body else { continue };
            if ended.contains(&begun.chunk) {
                continue;
            }
            let reader = self.recorder.chunk(&begun.chunk).await?;
            let chunk = ChunkSummary {
                id: begun.chunk.clone(),
                size: reader.size(),
                sha256: reader.sha256().await?,
                not_kept: reader.not_kept(),
            };
            ends.push(EventBody::CommandFinished(CommandFinished {
                chunk,
                exit: ExitStatus::Signal(9),
                ms: 0,
                ended_by: Some(EndedBy::SandboxGone),
            }));
        }
        Ok(ends)
    }
}
