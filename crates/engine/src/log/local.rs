//! The event log of one machine: a SQLite file with one writer per process.

use std::path::Path;

use async_trait::async_trait;
use quire_domain::ids::{AttemptId, Epoch, Seq};
use tokio::sync::broadcast;

use super::{Batch, EventLog, Head, LogError, StoredEvent};

/// The logs in `events.db` of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct LocalLog {}

impl LocalLog {
    /// Opens the log at `path` (`<data-dir>/events.db`), makes or migrates it where needed. The
    /// directory has to exist. Needs a tokio runtime, on which its writer runs.
    pub async fn open(path: &Path) -> Result<Self, LogError> {
        todo!()
    }

    /// Waits for what was handed in, then closes the file. A process that ends without it loses
    /// nothing that was acknowledged.
    pub async fn close(&self) {
        todo!()
    }
}

#[async_trait]
impl EventLog for LocalLog {
    async fn head(&self, attempt: AttemptId) -> Result<Head, LogError> {
        todo!()
    }

    async fn fence(&self, attempt: AttemptId, epoch: Epoch) -> Result<Head, LogError> {
        todo!()
    }

    async fn append(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        after: Seq,
        events: Vec<StoredEvent>,
    ) -> Result<Seq, LogError> {
        todo!()
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: Seq,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, LogError> {
        todo!()
    }

    fn announcements(&self, attempt: AttemptId) -> broadcast::Receiver<Batch> {
        todo!()
    }
}
