//! What a fork goes on from is brought into its own keeping, before its sandbox is made.

use quire_domain::attempt::FailureKind;

use super::Life;
use super::conclude::Ending;
use crate::error::RunError;
use crate::prepare::{Layout, causes};

impl Life {
    /// Has the task hold the results of the one that it was made from. Of others there is nothing
    /// to bring. Safe to repeat.
    pub(super) async fn bring(&self, layout: &Layout) -> Result<Result<(), Ending>, RunError> {
        // The first turn of a task goes on from another task's, or from nothing.
        let (1, Some(from)) = (self.turn.ordinal, self.continued.first()) else {
            return Ok(Ok(()));
        };
        let other = self.worker.store.attempt_by_id(*from).await?.task;
        let git = &self.worker.git;
        let brought = async {
            let from = git.results(other, &layout.repository).await?;
            let into = git.results(self.row.task, &layout.repository).await?;
            git.adopt(&into, &from).await
        };
        match brought.await {
            Ok(()) => Ok(Ok(())),
            Err(error) if crate::error::is_disk_full(&error) => Err(RunError::DiskFull),
            Err(error) => {
                Ok(Err(Ending::failed(FailureKind::RepositoryUnavailable, causes(&error))))
            }
        }
    }
}
