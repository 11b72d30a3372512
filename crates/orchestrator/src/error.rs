//! Why an attempt could not be run at all.

use quire_agent::AgentError;
use quire_domain::journal::JournalError;
use quire_store::{ClaimError, StoreError};

/// Why an attempt could not be run, or its end not be recorded. Failures of the attempt itself
/// are outcomes.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Somebody else has it, or it has ended.
    #[error("cannot claim the attempt")]
    Claim(#[from] ClaimError),
    /// The store failed.
    #[error("cannot reach the store")]
    Store(#[from] StoreError),
    /// The record failed.
    #[error("cannot write the record")]
    Journal(#[from] JournalError),
    /// The loop could not record what it did.
    #[error("cannot go on with the attempt")]
    Agent(#[from] AgentError),
    /// The disk is full: the attempt stands still, and goes on from its log when there is room.
    #[error("the disk is full")]
    DiskFull,
    /// What was stored with the turn cannot be read.
    #[error("the turn's origin cannot be read: {0}")]
    Origin(String),
}

impl RunError {
    /// Whether it is for want of room on the disk that nothing more can be done.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            Self::DiskFull
                | Self::Journal(JournalError::DiskFull)
                | Self::Agent(AgentError::Journal(JournalError::DiskFull))
                | Self::Store(StoreError::DiskFull)
                | Self::Claim(ClaimError::Store(StoreError::DiskFull))
        )
    }
}
