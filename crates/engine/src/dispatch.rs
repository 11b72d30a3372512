//! The hand-out of attempts to workers: at least once, whoever has room first.
//!
//! What is handed out is not yet anybody's: the claim in the store, which raises the epoch, makes it
//! one worker's. An implementation that keeps both in one place claims as it hands out and says so.

use std::time::Duration;

use async_trait::async_trait;
use quire_domain::ids::{AttemptId, Epoch};

/// What a worker asks with: who it is and how much room it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The worker's name, as leases carry it.
    pub worker: String,
    /// The attempts it has room for, from 1.
    pub room: u32,
}

/// An attempt as it was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Which.
    pub attempt: AttemptId,
    /// The claim, where handing out is claiming; else the worker claims it before anything else.
    pub claim: Option<Claimed>,
}

/// A claim that came with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// What every write about the attempt has to carry.
    pub epoch: Epoch,
    /// How often a worker was lost over it, this time included.
    pub losses: u32,
}

/// Why nothing can be offered or had.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// There is no such attempt, or it has ended.
    #[error("attempt {attempt} cannot be offered: {why}")]
    NotOffered {
        /// Which.
        attempt: AttemptId,
        /// Why not.
        why: String,
    },
    /// It cannot be reached now; asking again later may help.
    #[error("cannot reach the queue")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands attempts to workers.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Offers an attempt to whoever has room. Offering one that is offered or at work changes
    /// nothing.
    async fn offer(&self, attempt: AttemptId) -> Result<(), DispatchError>;

    /// Waits until there are attempts for this worker and gives at least one, at most as many as
    /// it has room for. May be given up at any time: what was handed out by then is handed out
    /// again.
    async fn next(&self, pool: &Pool) -> Result<Vec<Box<dyn Offer>>, DispatchError>;
}

/// One attempt in the hands of a worker. Dropped without a word, it is handed out again when its
/// time is over.
#[async_trait]
pub trait Offer: Send + Sync {
    /// What was handed out.
    fn handed(&self) -> Handed;

    /// The worker lives and goes on with it: said every ten seconds.
    async fn extend(&self) -> Result<(), DispatchError>;

    /// Nothing more is to be done now: it ended, or stands still until somebody says something.
    async fn done(self: Box<Self>) -> Result<(), DispatchError>;

    /// Another worker is to go on with it, not before `delay` has passed. The worker has let go
    /// of it: its sandbox has ended and nothing more is written.
    async fn release(self: Box<Self>, delay: Duration) -> Result<(), DispatchError>;

    /// Another worker has it: this one has nothing to say about it any more.
    async fn lost(self: Box<Self>) -> Result<(), DispatchError>;
}
