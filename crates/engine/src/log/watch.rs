//! Watching a log: every entry once, in order, without gaps.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::ids::{AttemptId, Seq};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Batch, EventLog, LogError, StoredEvent};

/// Entries that another process appends are found by looking: this soon after one came, and each
/// time twice as long after that, up to the second.
const LOOK_AFTER: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How many entries one look reads.
const READ_LIMIT: u32 = 256;

/// One who watches the log of an attempt from some entry on.
pub struct Watch {
    log: Arc<dyn EventLog>,
    attempt: AttemptId,
    next: Seq,
    heard: broadcast::Receiver<Batch>,
    /// Whether there may be entries that will not be heard of.
    behind: bool,
    /// How long the next look is away.
    look_after: Duration,
}

impl Watch {
    /// Watches from the entry `from` on (1 is the first), what is there already included.
    pub fn new(log: Arc<dyn EventLog>, attempt: AttemptId, from: Seq) -> Self {
        let heard = log.announcements(attempt);
        let next = Seq(from.0.max(1));
        Self { log, attempt, next, heard, behind: true, look_after: LOOK_AFTER.0 }
    }

    /// The next entries, at least one; waits until there is one. May be cancelled at any time
    /// without losing any.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, LogError> {
        loop {
            if self.behind {
                let events = self.log.read(self.attempt, self.next, READ_LIMIT).await?;
                self.behind = events.len() >= READ_LIMIT as usize;
                if let Some(last) = events.last() {
                    self.next = Seq(last.seq.0 + 1);
                    self.look_after = LOOK_AFTER.0;
                    return Ok(events);
                }
            }
            match tokio::time::timeout(self.look_after, self.heard.recv()).await {
                Ok(Ok(batch)) => match self.news(&batch) {
                    News::Fresh(events) => return Ok(events),
                    News::Gap => self.behind = true,
                    News::Old => {}
                },
                Ok(Err(RecvError::Lagged(_))) => self.behind = true,
                Err(_) => {
                    self.behind = true;
                    self.look_after = (self.look_after * 2).min(LOOK_AFTER.1);
                }
                Ok(Err(RecvError::Closed)) => return Err(LogError::Closed),
            }
        }
    }

    /// What of a batch is news to this watcher.
    fn news(&mut self, batch: &Batch) -> News {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return News::Old };
        if last.seq < self.next {
            return News::Old;
        }
        if first.seq > self.next {
            return News::Gap;
        }
        let events = batch.iter().filter(|event| event.seq >= self.next).cloned().collect();
        self.next = Seq(last.seq.0 + 1);
        self.look_after = LOOK_AFTER.0;
        News::Fresh(events)
    }
}

enum News {
    Fresh(Vec<StoredEvent>),
    Gap,
    Old,
}
