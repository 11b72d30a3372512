//! What the loop is handed, and how it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_domain::attempt::{FailureKind, SuspendReason};
use quire_domain::environment::default_instruction_fallbacks;
use quire_domain::event::{Awaits, Event, Fault};
use quire_domain::journal::{Journal, JournalError};
use quire_domain::model::Model;
use quire_domain::path::WorkspacePath;
use quire_domain::task::Request;
use quire_domain::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::contracts::{Finish, Inputs, InstructionTree, Purse, SandboxSource};
use crate::driver::Driver;

/// One attempt, to be driven on from where its log stands.
pub struct AttemptRun {
    /// Who thinks.
    pub model: Arc<dyn Model>,
    /// The attempt's log; it holds at least [`quire_domain::event::EventBody::Submitted`].
    pub journal: Arc<dyn Journal>,
    /// Where commands run.
    pub sandbox: Arc<dyn SandboxSource>,
    /// Who looks at the result.
    pub finish: Arc<dyn Finish>,
    /// What people say meanwhile.
    pub inputs: Arc<dyn Inputs>,
    /// The turn's budget.
    pub purse: Arc<dyn Purse>,
    /// AGENTS.md and its like.
    pub instructions: Arc<dyn InstructionTree>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What was asked for; its mode chooses the prompt and the tools.
    pub request: Request,
    /// In a follow-up, the logs of the attempts it continues, oldest first, one after the other.
    pub earlier: Vec<Event>,
    /// Where the repository lies inside the sandbox.
    pub workspace: PathBuf,
    /// Where in it commands start, if not at its root.
    pub start_dir: Option<WorkspacePath>,
    /// The branch that is checked out, for the model to know.
    pub branch: Option<String>,
    /// A word that all requests of the attempt share, for the provider's cache: its id.
    pub cache_key: String,
    /// What may be tuned.
    pub settings: Settings,
    /// Ends the attempt within seconds; what was done is kept.
    pub cancel: CancellationToken,
}

/// What may be tuned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a command's output that the model is shown.
    pub observation_bytes: usize,
    /// How long a command is waited for where the call does not say.
    pub default_wait: Duration,
    /// Names of instruction files where a directory has neither `AGENTS.override.md` nor
    /// `AGENTS.md`, in the order they are tried.
    pub instruction_fallbacks: Vec<String>,
    /// Model calls after which an attempt stands still whatever its budget.
    pub model_calls: u32,
    /// How long a model is waited for before an idle sandbox is folded; `None` never folds.
    pub fold_after: Option<Duration>,
    /// How long an answer is waited for; then the model is told that nobody answered.
    pub answer_within: Duration,
    /// The name of the sandbox's overlay that holds the working tree.
    pub overlay: String,
    /// Sentences about the environment, told before the first request: what of the network is
    /// open, which services run.
    pub facts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            observation_bytes: 16 * 1024,
            default_wait: Duration::from_mins(1),
            instruction_fallbacks: default_instruction_fallbacks(),
            model_calls: 1_000,
            fold_after: Some(Duration::from_secs(20)),
            answer_within: Duration::from_hours(7 * 24),
            overlay: "work".to_owned(),
            facts: Vec::new(),
        }
    }
}

/// How a run of the loop ended. The caller records the outcome, the answer and its citations.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The model is done and the gate has let it pass.
    Finished {
        /// The answer, citations in the stored form.
        answer: String,
        /// What remained wrong when it was accepted: shown to the person as faults.
        faults: Vec<Fault>,
    },
    /// The person approved its plan.
    Approved,
    /// It waits for a person, and holds nothing meanwhile: run it again when there is a word.
    Waiting(Awaits),
    /// It stands still and can go on.
    Suspended(SuspendReason),
    /// It was cancelled; what was done is partial.
    Cancelled,
    /// The provider declined, with these words.
    Refused(String),
    /// It could not be done.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// What happened, for the person.
        detail: String,
    },
}

/// Why the loop could not even record an end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The record cannot be written: nothing more may be done.
    #[error("cannot record what the attempt does")]
    Journal(#[from] JournalError),
    /// The log does not begin with the request.
    #[error("the attempt's log does not hold its request")]
    NoRequest,
}

/// Drives an attempt until it ends. Safe to call again after any death: it goes on from the log.
///
/// Records everything from `instructions_loaded` to the last reply and the gate's findings, and
/// `interrupted`, `suspended` and `waiting` where that is the end; `answered` and `finished` are the
/// caller's. Commands the model left running are ended before it returns.
///
/// # Errors
///
/// [`AgentError::Journal`] with [`JournalError::Fenced`] when another worker has taken over:
/// write nothing more.
pub async fn run(attempt: AttemptRun) -> Result<End, AgentError> {
    Driver::drive(attempt).await
}
