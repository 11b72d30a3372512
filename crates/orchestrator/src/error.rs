//! Why an attempt could not be run at all.

use std::error::Error;
use std::io;

use quire_agent::{AgentError, ContractError};
use quire_domain::journal::JournalError;
use quire_domain::sandbox::SandboxError;
use quire_engine::{BlobError, LogError};
use quire_git::GitError;
use quire_store::{ClaimError, StoreError};

use crate::submit::SubmitError;

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
        is_disk_full(self)
    }
}

/// Whether an error, or what caused it, says that the disk has no room.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if says_full(error) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether this error says so itself. Errors that are transparent hide what they hold from
/// `source`, and are looked into here.
fn says_full(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<RunError>() {
        return matches!(error, RunError::DiskFull);
    }
    if let Some(error) = error.downcast_ref::<ClaimError>() {
        return matches!(error, ClaimError::Store(StoreError::DiskFull));
    }
    if let Some(error) = error.downcast_ref::<ContractError>() {
        return match error {
            ContractError::DiskFull => true,
            ContractError::Sandbox(error) => error.is_host_disk_full(),
            ContractError::Other(_) => false,
        };
    }
    if let Some(error) = error.downcast_ref::<SubmitError>() {
        return matches!(
            error,
            SubmitError::Git(GitError::DiskFull { .. }) | SubmitError::Store(StoreError::DiskFull)
        );
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    }
    matches!(error.downcast_ref(), Some(JournalError::DiskFull))
        || matches!(error.downcast_ref(), Some(StoreError::DiskFull))
        || matches!(error.downcast_ref(), Some(LogError::DiskFull))
        || matches!(error.downcast_ref(), Some(BlobError::DiskFull))
        || matches!(error.downcast_ref(), Some(GitError::DiskFull { .. }))
        || error.downcast_ref().is_some_and(SandboxError::is_host_disk_full)
}
