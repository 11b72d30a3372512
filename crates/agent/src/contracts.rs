//! What the loop needs from its caller beside the contracts of `quire_domain`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use quire_domain::attempt::SuspendReason;
use quire_domain::budget::{BudgetLimit, MicroDollars, Spent, Usage};
use quire_domain::event::{Fault, PlanApproved, Said};
use quire_domain::ids::CommitId;
use quire_domain::sandbox::{Sandbox, SandboxError};

/// A failure of the caller's own parts: told to the operator, the attempt ends with
/// `failed(infrastructure)` unless the kind says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The sandbox vanished under it.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// There is no room on the disk: as if the record could not be written.
    #[error("the disk is full")]
    DiskFull,
    /// Anything else; the words are for the person.
    #[error("{0}")]
    Other(String),
}

/// Gives the attempt's sandbox.
#[async_trait]
pub trait SandboxSource: Send + Sync {
    /// Waits until the sandbox is ready and gives it. Asked for at the first tool call, so that
    /// preparing runs beside the first model request; must then be quick each time. Dropping the
    /// future must not stop the preparing.
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError>;

    /// What happened in it beside the commands (a service that ended), told to the model with the
    /// next answer; each once. Called after every command, so it must be cheap when there is
    /// nothing.
    async fn news(&self) -> Vec<String> {
        Vec::new()
    }

    /// The first model request is on its way: what competes with it for processors may begin.
    fn begin(&self) {}
}

/// The instruction files an attempt may be told of, as they stand at the base commit: readable
/// before there is a sandbox, and not to be changed by what runs in it.
#[async_trait]
pub trait InstructionTree: Send + Sync {
    /// The paths, relative to the repository, of all files of the tree whose path is one of
    /// `names` or ends in `/` and one of them. At most 10,000, sorted.
    async fn candidates(&self, names: &[String]) -> Result<Vec<String>, ContractError>;

    /// The first `limit` bytes of one of them; `None` if there is no such regular file.
    async fn read(&self, path: &str, limit: usize) -> Result<Option<ReadText>, ContractError>;

    /// The files that hold for everything, in the order they are shown: the person's global one,
    /// then those of the environment (`/`, `~`, the directories above the repository). At most
    /// one per directory; each cut at `limit` bytes.
    async fn outside(&self, limit: usize) -> Result<Vec<OutsideFile>, ContractError>;
}

/// The beginning of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadText {
    /// As much as was asked for.
    pub text: Bytes,
    /// The size of the whole.
    pub bytes: u64,
}

/// An instruction file outside of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideFile {
    /// Its absolute path, as a person should read it.
    pub path: String,
    /// Its beginning.
    pub content: ReadText,
}

/// What people say while the attempt works. Numbers rise over the whole task.
#[async_trait]
pub trait Inputs: Send + Sync {
    /// What is to be told at the next model call, with numbers above `after`, oldest first.
    /// Asking again with the same number gives the same again: what was told is known from the
    /// log. Called before every model call, so it must be cheap when there is nothing.
    async fn steers(&self, after: u64) -> Result<Vec<Said>, ContractError>;

    /// As [`Inputs::steers`], for what is to be told after the model's turn.
    async fn messages(&self, after: u64) -> Result<Vec<Said>, ContractError>;

    /// The oldest answer with a number above `after`.
    async fn answer(&self, after: u64) -> Result<Option<Said>, ContractError> {
        let _ = after;
        Ok(None)
    }

    /// The oldest word on a plan with a number above `after`.
    async fn judgement(&self, after: u64) -> Result<Option<Judgement>, ContractError> {
        let _ = after;
        Ok(None)
    }

    /// The number of the newest input that is known.
    fn newest(&self) -> u64 {
        0
    }

    /// Whether the attempt is to stand still before the next model call. What is cancelled while
    /// this names a reason stands still at once and does not end.
    fn stand_still(&self) -> Option<SuspendReason> {
        None
    }
}

/// What a person says of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It is to be carried out, as it is or as they edited it.
    Approved(PlanApproved),
    /// It is to be another, for these reasons.
    Rejected(Said),
}

/// The turn's budget, shared by its attempts.
pub trait Purse: Send + Sync {
    /// The limit that all attempts of the turn together have reached. `own` is what this attempt
    /// has spent in all, over all its runs.
    fn reached(&self, own: &Spent) -> Option<BudgetLimit>;

    /// Counts one reply, once, after it is recorded. What the log held when this run began is
    /// the caller's to count.
    fn add(&self, usage: Usage, cost: Option<MicroDollars>);
}

/// Looks at what the attempt made, when the model says that it is done.
#[async_trait]
pub trait Finish: Send + Sync {
    /// Examines the state of the working tree and the answer's citations. All events up to the
    /// reply are in the log. In ask, plan and review mode only citations are looked at. It is
    /// asked again after each round, and again after a restart; nothing is decided here.
    async fn examine(&self, answer: &str) -> Result<Findings, ContractError>;

    /// Runs the declared checks on the final commit and records them; those that already ran on
    /// this commit are not run again. Gives a [`Fault::CheckFailed`] for each that failed.
    async fn run_checks(&self) -> Result<Vec<Fault>, ContractError>;

    /// The last part (at most `limit` bytes) of a failed check's output, as the model is shown
    /// it, without control sequences.
    async fn check_output(&self, fault: &Fault, limit: usize) -> Result<String, ContractError>;
}

/// What was found at the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// What is wrong with the tree, the history and the citations: any of
    /// [`Fault::Dirty`], [`Fault::BranchChanged`], [`Fault::HistoryRewritten`],
    /// [`Fault::BadCitation`] and [`Fault::StaleCitation`].
    pub faults: Vec<Fault>,
    /// The answer with its citations in the stored form.
    pub answer: String,
    /// Files of the diff from base to head and of uncommitted work, relative to the repository;
    /// both names of a moved one.
    pub changed_files: Vec<String>,
    /// The head of the starting branch; `None` outside of code mode.
    pub head: Option<CommitId>,
}
