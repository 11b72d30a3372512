//! The event log in memory: for tests, and the plainest reading of the contract.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use quire_domain::ids::{AttemptId, Epoch, Seq};
use tokio::sync::broadcast;

use super::{Batch, EventLog, Head, LogError, StoredEvent};

/// Logs that end with the process.
#[derive(Debug, Default)]
pub struct MemoryLog {
    logs: Mutex<HashMap<AttemptId, Log>>,
}

#[derive(Debug)]
struct Log {
    epoch: Epoch,
    events: Vec<StoredEvent>,
    announce: broadcast::Sender<Batch>,
}

impl Default for Log {
    fn default() -> Self {
        Self { epoch: Epoch(0), events: Vec::new(), announce: broadcast::Sender::new(64) }
    }
}

impl Log {
    fn head(&self) -> Head {
        match self.events.last() {
            None => Head { epoch: self.epoch, ..Head::empty() },
            Some(last) => Head { epoch: self.epoch, seq: last.seq, hash: last.hash.clone() },
        }
    }
}

impl MemoryLog {
    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, Log>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn head(&self, attempt: AttemptId) -> Result<Head, LogError> {
        Ok(self.lock().get(&attempt).map_or_else(Head::empty, Log::head))
    }

    async fn fence(&self, attempt: AttemptId, epoch: Epoch) -> Result<Head, LogError> {
        let mut logs = self.lock();
        let log = logs.entry(attempt).or_default();
        if epoch < log.epoch {
            return Err(LogError::Fenced { current: log.epoch, given: epoch });
        }
        log.epoch = epoch;
        Ok(log.head())
    }

    async fn append(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        after: Seq,
        events: Vec<StoredEvent>,
    ) -> Result<Seq, LogError> {
        super::check_batch(epoch, after, &events)?;
        let mut logs = self.lock();
        let log = logs.entry(attempt).or_default();
        let head = log.head();
        if epoch != head.epoch {
            return Err(LogError::Fenced { current: head.epoch, given: epoch });
        }
        if after != head.seq {
            return Err(LogError::WrongSeq { current: head.seq, given: after });
        }
        log.events.extend(events.iter().cloned());
        let _ = log.announce.send(events.into());
        Ok(log.head().seq)
    }

    async fn read(
        &self,
        attempt: AttemptId,
        from: Seq,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let logs = self.lock();
        let Some(log) = logs.get(&attempt) else { return Ok(Vec::new()) };
        let skip = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(log.events.iter().skip(skip).take(limit as usize).cloned().collect())
    }

    fn announcements(&self, attempt: AttemptId) -> broadcast::Receiver<Batch> {
        self.lock().entry(attempt).or_default().announce.subscribe()
    }
}
