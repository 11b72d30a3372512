//! What the end is made of: the gate, checks, commits, the answer.

use serde::{Deserialize, Serialize};

use crate::attempt::{DiffStat, Outcome};
use crate::budget::Spent;
use crate::environment::CheckSpec;
use crate::ids::{ChunkId, CommitId};
use crate::sandbox::ExitStatus;

/// See [`super::EventBody::GateFailed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateFailed {
    /// How often it has failed, this time included.
    pub round: u32,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What the model is told; absent where the faults are only shown to the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Something that is not as it should be at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// A command that the model started still runs.
    CommandRuns {
        /// Its output.
        chunk: ChunkId,
        /// What it is.
        command: String,
    },
    /// Files are changed and not committed, or not ignored and untracked.
    Dirty {
        /// Which; at most 50.
        paths: Vec<String>,
    },
    /// The result cannot be taken out: `.git` is gone or another one, or a commit holds what is
    /// refused.
    ResultUnusable {
        /// What is wrong.
        why: String,
    },
    /// Repositories that were made inside the working tree: a commit takes of each only a link to
    /// another commit, and none of its files.
    NestedRepository {
        /// Their directories; at most 50.
        paths: Vec<String>,
    },
    /// Another branch is checked out than at the start.
    BranchChanged {
        /// The one at the start.
        expected: String,
        /// The one now.
        found: String,
    },
    /// The base is no longer an ancestor of the head.
    HistoryRewritten,
    /// Files were changed whose instructions the model was never shown.
    InstructionsUnseen {
        /// The instruction files.
        files: Vec<String>,
    },
    /// A citation leads nowhere.
    BadCitation {
        /// As written.
        citation: String,
        /// Why it was rejected.
        why: String,
    },
    /// A test result was cited from before the last change.
    StaleCitation {
        /// As written.
        citation: String,
    },
    /// Instructions name commands that were not run after the last change.
    ChecksNotRun {
        /// The commands.
        commands: Vec<String>,
    },
    /// A declared check failed.
    CheckFailed {
        /// Its name.
        name: String,
        /// Its output.
        chunk: ChunkId,
    },
    /// The reply was empty.
    EmptyAnswer,
    /// The reply is not the JSON value that was asked for.
    WrongForm {
        /// What does not fit.
        why: String,
    },
}

/// See [`super::EventBody::CheckFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckFinished {
    /// The check.
    pub check: CheckSpec,
    /// The commit it ran on.
    pub commit: CommitId,
    /// Its output.
    pub chunk: ChunkId,
    /// How it ended; `None` at its time limit.
    pub exit: Option<ExitStatus>,
    /// How long it ran.
    pub ms: u64,
    /// Files of the change that the check's own result hangs on: tests, its own configuration.
    #[serde(default)]
    pub touched_tests: Vec<String>,
}

/// See [`super::EventBody::Committed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The commit.
    pub commit: CommitId,
    /// By the agent, or by the system from what was left uncommitted.
    pub by: CommitBy,
    /// Its first line.
    pub subject: String,
}

/// Who made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitBy {
    /// The agent, inside.
    Agent,
    /// The system, of what was left.
    System,
}

/// See [`super::EventBody::Answered`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The answer, with citations in their stored form.
    pub text: String,
    /// What remained wrong when it was accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// See [`super::EventBody::Finished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// What it cost in all.
    pub spent: Spent,
    /// The size of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_stat: Option<DiffStat>,
    /// The last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<CommitId>,
    /// Whether work was cut short.
    #[serde(default)]
    pub partial: bool,
}
