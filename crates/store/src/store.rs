//! The store: what it offers.

use std::path::Path;
use std::sync::Arc;

use quire_domain::attempt::{Attempt, AttemptResult, AttemptState};
use quire_domain::budget::Spent;
use quire_domain::ids::{AttemptId, AttemptRef, Epoch, TaskId, TaskNumber, TurnId};
use quire_domain::task::{Task, Turn};
use quire_domain::time::Timestamp;

use crate::error::{ClaimError, StoreError};
use crate::ids::NewIds;
use crate::input::{Input, NewInput};
use crate::list::{ListFilter, Page};
use crate::submit::{FollowUp, NewTask, Submission};

/// The store of one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    ids: Arc<dyn NewIds>,
}

/// A claim that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What every later write has to carry.
    pub epoch: Epoch,
    /// How often a worker was lost over this attempt, this time included.
    pub losses: u32,
}

/// Who holds an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker, as it named itself.
    pub worker: String,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Until when, unless renewed.
    pub until: Timestamp,
}

/// What a worker writes about its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where it stands now. `Suspended` and `Done` give the lease back.
    pub state: AttemptState,
    /// What it has cost in all.
    pub spent: Spent,
    /// What it left; `None` keeps what was written before.
    pub result: Option<AttemptResult>,
    /// The time.
    pub now: Timestamp,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Store {
    /// Opens the database at `path` (`<data-dir>/quire.db`), makes or migrates it where needed.
    ///
    /// The directory has to exist. About a millisecond when nothing is to be migrated.
    pub async fn open(path: &Path) -> Result<Self> {
        todo!()
    }

    /// The same store, with ids of new things from `ids`.
    #[must_use]
    pub fn with_ids(mut self, ids: Arc<dyn NewIds>) -> Self {
        self.ids = ids;
        self
    }

    /// Closes the database; waits for what is running. A process that ends without it loses
    /// nothing that was acknowledged.
    pub async fn close(&self) {
        todo!()
    }

    /// Writes a task, its first turn and the turn's attempts. On disk when it returns.
    pub async fn submit(&self, new: NewTask) -> Result<Submission> {
        todo!()
    }

    /// Adds a turn to a task whose newest turn has ended. Takes the task out of the archive.
    ///
    /// # Errors
    ///
    /// [`StoreError::TurnOpen`], and [`StoreError::NotChosen`] where the turn before has several
    /// attempts of which none was chosen or named.
    pub async fn follow_up(&self, follow: FollowUp) -> Result<Submission> {
        todo!()
    }

    /// Claims an attempt for `lease_ms`: raises its epoch, its state is then `preparing`.
    ///
    /// Granted where it has not ended and nobody holds it, or the holder's lease ran out at `now`.
    pub async fn claim(
        &self,
        attempt: AttemptId,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> std::result::Result<Claim, ClaimError> {
        todo!()
    }

    /// As [`Store::claim`], although the lease of `dead` still runs: for a caller who knows that
    /// its holder is gone. Refused as held if somebody claimed it since.
    pub async fn take_over(
        &self,
        attempt: AttemptId,
        dead: Epoch,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> std::result::Result<Claim, ClaimError> {
        todo!()
    }

    /// Who holds the attempt, whether or not the lease ran out.
    pub async fn lease(&self, attempt: AttemptId) -> Result<Option<Lease>> {
        todo!()
    }

    /// Extends the lease of `epoch` to `until`. Survives the process, not a crash of the machine.
    pub async fn renew(&self, attempt: AttemptId, epoch: Epoch, until: Timestamp) -> Result<()> {
        todo!()
    }

    /// Writes where an attempt stands. Refused for a stale epoch and after it ended.
    pub async fn set_state(&self, attempt: AttemptId, epoch: Epoch, write: Write) -> Result<()> {
        todo!()
    }

    /// Writes what an attempt has cost and gives what its turn has ([`Store::spent`]). Survives
    /// the process, not a crash of the machine: the log has the truth.
    pub async fn set_spent(&self, attempt: AttemptId, epoch: Epoch, spent: Spent) -> Result<Spent> {
        todo!()
    }

    /// What all attempts of a turn have cost together: sums, but of the time at work the longest.
    pub async fn spent(&self, turn: TurnId) -> Result<Spent> {
        todo!()
    }

    /// The task with this number.
    pub async fn task(&self, number: TaskNumber) -> Result<Task> {
        todo!()
    }

    /// The task with this id.
    pub async fn task_by_id(&self, task: TaskId) -> Result<Task> {
        todo!()
    }

    /// The turns of a task, oldest first.
    pub async fn turns(&self, task: TaskId) -> Result<Vec<Turn>> {
        todo!()
    }

    /// One turn.
    pub async fn turn(&self, turn: TurnId) -> Result<Turn> {
        todo!()
    }

    /// The attempts of a turn, in their order.
    pub async fn attempts(&self, turn: TurnId) -> Result<Vec<Attempt>> {
        todo!()
    }

    /// The attempt that a person means: of the newest turn, the one named, else the chosen one.
    pub async fn attempt(&self, name: AttemptRef) -> Result<Attempt> {
        todo!()
    }

    /// The attempt with this id.
    pub async fn attempt_by_id(&self, attempt: AttemptId) -> Result<Attempt> {
        todo!()
    }

    /// The attempts that an attempt continues, nearest first: those whose chunks it may cite.
    pub async fn continued(&self, attempt: AttemptId) -> Result<Vec<AttemptId>> {
        todo!()
    }

    /// What preparing a turn needs beside its request, as it was submitted.
    pub async fn origin(&self, turn: TurnId) -> Result<Option<String>> {
        todo!()
    }

    /// A page of tasks, newest first.
    pub async fn list(&self, filter: &ListFilter) -> Result<Page> {
        todo!()
    }

    /// Attempts that anybody may claim at `now`, oldest first, at most `limit`: queued ones, and
    /// those at work whose lease ran out.
    pub async fn claimable(&self, now: Timestamp, limit: u32) -> Result<Vec<Attempt>> {
        todo!()
    }

    /// Chooses the attempt of a turn that is applied and followed up.
    pub async fn choose(&self, turn: TurnId, attempt: AttemptId) -> Result<()> {
        todo!()
    }

    /// Puts a task away. Lists leave it out; nothing is deleted.
    pub async fn archive(&self, task: TaskId, now: Timestamp) -> Result<()> {
        todo!()
    }

    /// Takes a task out of the archive.
    pub async fn unarchive(&self, task: TaskId) -> Result<()> {
        todo!()
    }

    /// Puts an input for the newest turn of a task, seen by every process; gives its number.
    pub async fn put_input(&self, new: NewInput) -> Result<u64> {
        todo!()
    }

    /// The inputs for an attempt with a number above `after`, in order.
    pub async fn inputs_after(&self, attempt: AttemptId, after: u64) -> Result<Vec<Input>> {
        todo!()
    }

    /// Notes that the inputs up to `number` were applied, so that none is applied again.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyApplied`] if this one or a later one was, [`StoreError::Fenced`].
    pub async fn set_applied(&self, attempt: AttemptId, epoch: Epoch, number: u64) -> Result<()> {
        todo!()
    }

    /// The number of the newest input that was applied; 0 for none.
    pub async fn applied(&self, attempt: AttemptId) -> Result<u64> {
        todo!()
    }
}
