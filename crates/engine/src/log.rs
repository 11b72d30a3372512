//! The contract of the event log: rows that only grow, one writer per epoch.

mod announce;
mod local;
mod memory;
mod sqlite;
mod watch;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use quire_domain::ids::{AttemptId, Epoch, Seq, Sha256};
use quire_domain::journal::JournalError;
use quire_domain::time::Timestamp;
use tokio::sync::broadcast;

pub use local::LocalLog;
pub use memory::MemoryLog;
pub use watch::Watch;

/// One entry of a log, opaque to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place, from 1 without gaps.
    pub seq: Seq,
    /// When it was written down.
    pub at: Timestamp,
    /// Under which claim.
    pub epoch: Epoch,
    /// The kind's name.
    pub kind: String,
    /// The whole body as JSON, `{"kind": …, "body": …}`, as it was hashed.
    pub body: String,
    /// Hash of the entry before.
    pub prev_hash: Sha256,
    /// Its hash.
    pub hash: Sha256,
}

/// Where a log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The epoch that may append; 0 before the first [`EventLog::fence`].
    pub epoch: Epoch,
    /// The last entry; 0 for an empty log.
    pub seq: Seq,
    /// Its hash; all zeros for an empty log.
    pub hash: Sha256,
}

impl Head {
    /// The head of a log that nobody wrote to.
    pub fn empty() -> Self {
        Self { epoch: Epoch(0), seq: Seq(0), hash: Sha256::zero() }
    }
}

/// What was appended together, as those who watch get it.
pub type Batch = Arc<[StoredEvent]>;

/// The logs of all attempts.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Where the log of `attempt` ends; an empty head if there is none.
    async fn head(&self, attempt: AttemptId) -> Result<Head, LogError>;

    /// Lets `epoch` be the only one that may append, from now on. The same one may ask again.
    ///
    /// # Errors
    ///
    /// [`LogError::Fenced`] if a higher one came before.
    async fn fence(&self, attempt: AttemptId, epoch: Epoch) -> Result<Head, LogError>;

    /// Appends `events` behind the entry `after`: all or none, on disk when it returns. Their
    /// numbers go on from `after` without gaps. Gives the number of the last.
    ///
    /// If the caller stops waiting, they may or may not have been written.
    ///
    /// # Errors
    ///
    /// [`LogError::Fenced`] if `epoch` is not the one that may append, [`LogError::WrongSeq`] if
    /// the log ends elsewhere.
    async fn append(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        after: Seq,
        events: Vec<StoredEvent>,
    ) -> Result<Seq, LogError>;

    /// Entries from the number `from` on (1 is the first), in order, at most `limit`.
    async fn read(
        &self,
        attempt: AttemptId,
        from: Seq,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, LogError>;

    /// What is appended from now on, as far as this process hears of it; may lose some. For
    /// [`Watch`], which loses none.
    fn announcements(&self, attempt: AttemptId) -> broadcast::Receiver<Batch>;
}

/// Why a log could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// Another epoch may append: stop at once and write nothing more.
    #[error("the log belongs to epoch {}, not to {}", current.0, given.0)]
    Fenced {
        /// The one that may append.
        current: Epoch,
        /// The one that tried.
        given: Epoch,
    },
    /// The log does not end where the caller thinks.
    #[error("the log ends at {}, not at {}", current.0, given.0)]
    WrongSeq {
        /// Where it ends.
        current: Seq,
        /// Where the caller thought it ends.
        given: Seq,
    },
    /// Entries are not numbered on from `after`, carry another epoch, or are too large.
    #[error("cannot append: {0}")]
    Malformed(String),
    /// Another process kept the database locked for longer than we wait.
    #[error("the event log is locked by another process")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// A later version of Quire wrote the log.
    #[error("the event log has version {found}, this program knows {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// What was read is not what was written.
    #[error("the event log is damaged: {0}")]
    Damaged(String),
    /// The log was closed.
    #[error("the event log is closed")]
    Closed,
    /// Reading or writing failed.
    #[error("cannot reach the event log")]
    Io(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// The size that one append may have, all bodies together.
const MAX_APPEND_BYTES: usize = 16 * 1024 * 1024;

/// The rules that need no look at the log.
fn check_batch(epoch: Epoch, after: Seq, events: &[StoredEvent]) -> Result<(), LogError> {
    if events.is_empty() {
        return Err(LogError::Malformed("there are no events".to_owned()));
    }
    for (event, seq) in events.iter().zip(after.0 + 1..) {
        if event.seq.0 != seq {
            let found = event.seq.0;
            return Err(LogError::Malformed(format!("event {found} stands in the place of {seq}")));
        }
        if event.epoch != epoch {
            return Err(LogError::Malformed(format!("event {seq} is of another epoch")));
        }
    }
    let bytes: usize = events.iter().map(|event| event.body.len()).sum();
    if bytes > MAX_APPEND_BYTES {
        return Err(LogError::Malformed(format!("{bytes} bytes at once")));
    }
    Ok(())
}

impl From<LogError> for JournalError {
    fn from(error: LogError) -> Self {
        match error {
            // Two writers under one epoch cannot be: whoever finds the log elsewhere lost it.
            LogError::Fenced { .. } | LogError::WrongSeq { .. } => Self::Fenced,
            LogError::DiskFull => Self::DiskFull,
            LogError::Damaged(what) => Self::Damaged(what),
            other => Self::Io(Box::new(other)),
        }
    }
}
