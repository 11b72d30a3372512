//! Where an attempt stands, and how it ended.

pub mod machine;

use serde::{Deserialize, Serialize};

use crate::budget::{BudgetLimit, Spent};
use crate::ids::{AttemptId, CommitId, Epoch, Sha256, TaskId, TurnId};
use crate::time::Timestamp;

/// Where one attempt stands: `queued → preparing → working → (waiting_for_user |
/// waiting_for_approval | suspended) → done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AttemptState {
    /// Nobody has claimed it.
    Queued,
    /// Claimed; its sandbox is being made.
    Preparing,
    /// The loop runs.
    Working,
    /// It asked a question.
    WaitingForUser,
    /// Its plan waits for a word.
    WaitingForApproval,
    /// It stands still and can go on.
    Suspended {
        /// Why.
        reason: SuspendReason,
    },
    /// It ended.
    Done {
        /// How.
        outcome: Outcome,
    },
}

impl AttemptState {
    /// The word used in lists.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Working => "working",
            Self::WaitingForUser => "waiting for you",
            Self::WaitingForApproval => "waiting for approval",
            Self::Suspended { .. } => "suspended",
            Self::Done { outcome } => outcome.word(),
        }
    }

    /// How much it needs a person, most first: the order in which a task takes its state from its
    /// attempts.
    pub fn urgency(&self) -> u8 {
        match self {
            Self::WaitingForUser | Self::WaitingForApproval => 0,
            Self::Suspended { .. } => 1,
            Self::Working => 2,
            Self::Preparing => 3,
            Self::Queued => 4,
            Self::Done { .. } => 5,
        }
    }
}

/// Why an attempt stands still. All of these can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SuspendReason {
    /// A limit of its budget was reached.
    Budget {
        /// Which.
        limit: BudgetLimit,
    },
    /// A quota of its user or team was reached.
    Quota,
    /// A person paused it.
    Paused,
    /// Its worker is gone.
    WorkerLost,
    /// The disk that holds the record or the sandbox is full.
    DiskFull,
}

impl SuspendReason {
    /// The words used in sentences about it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Budget { .. } => "budget",
            Self::Quota => "quota",
            Self::Paused => "paused",
            Self::WorkerLost => "its worker is gone",
            Self::DiskFull => "the disk is full",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer (ask, plan, review).
    Answered,
    /// With commits.
    Changed,
    /// In code mode, with no commit.
    NoChange,
    /// A provider or a policy declined, and said so in a field of its own.
    Refused {
        /// Its words.
        words: String,
    },
    /// A person cancelled it.
    Cancelled,
    /// It could not be done.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// What happened, for the person: one or two sentences.
        detail: String,
    },
}

impl Outcome {
    /// The word used in lists.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Changed => "changed",
            Self::NoChange => "no change",
            Self::Refused { .. } => "refused",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
        }
    }
}

/// The kinds of failure. Each has a sentence that says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The repository or the commit could not be read.
    RepositoryUnavailable,
    /// The setup script ended with an error.
    SetupFailed,
    /// The setup script took too long.
    SetupTimeout,
    /// Setup left the value of a secret in what it wrote.
    SecretLeaked,
    /// The values of the environment's secrets cannot be had.
    SecretsUnavailable,
    /// The base image could not be brought or used.
    ImageUnavailable,
    /// A service was not ready in time, or ended.
    ServiceFailed,
    /// No provider answered, after all retries.
    ModelUnavailable,
    /// The provider will not accept the request: bad key, no such model, malformed.
    ModelRejected,
    /// What the model was told no longer fits its window, also after compaction.
    ContextTooLong,
    /// The sandbox could not be made, or vanished.
    SandboxFailed,
    /// The loop went round in circles.
    Stuck,
    /// The result could not be taken out of the sandbox.
    CollectFailed,
    /// The sandbox wrote more than its limit of disk space.
    DiskFull,
    /// Something of ours: a bug, a broken store.
    Infrastructure,
}

impl FailureKind {
    /// What the person can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::RepositoryUnavailable => {
                "check that the repository and the ref exist and can be read, then run it again"
            }
            Self::SetupFailed => "read the setup's log, mend the script, then run it again",
            Self::SetupTimeout => "make the setup faster or raise its time limit",
            Self::SecretLeaked => {
                "have the setup remove that file, or read the value from its variable at each use; better, use a credential (`docs/environments.md`), which is never inside"
            }
            Self::SecretsUnavailable => {
                "bring the key back from a backup, or set the secrets anew with `quire env secret set`, then run it again"
            }
            Self::ImageUnavailable => {
                "mend what it names, then run it again; `quire env test` brings the image without asking a model"
            }
            Self::ServiceFailed => "read the service's log; `quire env test` starts it alone",
            Self::ModelUnavailable => {
                "check the network and the provider's status (`quire model test`), then go on with `quire task message`"
            }
            Self::ModelRejected => {
                "check the key and the model's name (`quire model test`), then go on with `quire task message`"
            }
            Self::ContextTooLong => "ask for less at once, or choose a model with a larger window",
            Self::SandboxFailed => {
                "run `quire doctor`, which says what this host lacks, then go on with `quire task message`"
            }
            Self::Stuck => "read the last steps, then follow up with a hint (`quire task message`)",
            Self::CollectFailed => {
                "the work is kept in the sandbox; go on with `quire task message`"
            }
            Self::DiskFull => {
                "raise `limits.disk_mib` of the environment (`quire env show --origin` says where it is), or ask for less, then go on with `quire task message`"
            }
            Self::Infrastructure => {
                "this is our fault: report it with the output of `quire doctor`"
            }
        }
    }

    /// The word used in JSON and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepositoryUnavailable => "repository_unavailable",
            Self::SetupFailed => "setup_failed",
            Self::SetupTimeout => "setup_timeout",
            Self::SecretLeaked => "secret_leaked",
            Self::SecretsUnavailable => "secrets_unavailable",
            Self::ImageUnavailable => "image_unavailable",
            Self::ServiceFailed => "service_failed",
            Self::ModelUnavailable => "model_unavailable",
            Self::ModelRejected => "model_rejected",
            Self::ContextTooLong => "context_too_long",
            Self::SandboxFailed => "sandbox_failed",
            Self::Stuck => "stuck",
            Self::CollectFailed => "collect_failed",
            Self::DiskFull => "disk_full",
            Self::Infrastructure => "infrastructure",
        }
    }
}

/// An attempt as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Its turn.
    pub turn: TurnId,
    /// Its task.
    pub task: TaskId,
    /// Its place in the turn, from 1.
    pub ordinal: u8,
    /// Where it stands.
    pub state: AttemptState,
    /// How often it was claimed.
    pub epoch: Epoch,
    /// What it has cost.
    pub spent: Spent,
    /// What it left, once it ended.
    pub result: Option<AttemptResult>,
    /// When it was offered.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// What an attempt left behind: a reading of its log, kept for lists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptResult {
    /// What it worked on.
    pub base: Option<CommitId>,
    /// The last commit, if it made one.
    pub head: Option<CommitId>,
    /// Files changed, lines added, lines removed.
    pub diff_stat: Option<DiffStat>,
    /// Checks that passed, and all that ran.
    pub checks: Option<(u32, u32)>,
    /// Whether work was cut short: what is there is part of what was meant.
    pub partial: bool,
    /// The hash of the last event.
    pub final_hash: Option<Sha256>,
}

/// The size of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiffStat {
    /// Files changed.
    pub files: u32,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

impl std::fmt::Display for DiffStat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = if self.files == 1 { "file" } else { "files" };
        write!(f, "{} {noun}, +{} −{}", self.files, self.added, self.removed)
    }
}
