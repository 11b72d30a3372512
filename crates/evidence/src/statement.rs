//! The statement: what an attempt did, summed up from its log, in in-toto's form.

use quire_domain::attempt::Outcome;
use quire_domain::citation::CheckedCitation;
use quire_domain::environment::CheckSpec;
use quire_domain::event::EndedBy;
use quire_domain::ids::{AttemptId, ChunkId, CommitId, Sha256, TaskId};
use quire_domain::sandbox::ExitStatus;
use quire_domain::task::{Continues, Mode};
use serde::{Deserialize, Serialize};

use crate::record::LogEntry;

/// The type of every in-toto statement, version 1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of our predicate. A field may be added if absent means what it meant before.
pub const PREDICATE_TYPE: &str = "https://quire.dev/attestation/attempt/v1";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about: the log, and the commit if there is one.
    pub subject: Vec<Subject>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said about it.
    pub predicate: Predicate,
}

/// Something a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `log` or `commit`.
    pub name: String,
    /// Its digest.
    pub digest: SubjectDigest,
}

/// A digest, named by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectDigest {
    /// The final hash of a log.
    #[serde(rename = "sha256")]
    Sha256(Sha256),
    /// A commit.
    #[serde(rename = "gitCommit")]
    GitCommit(CommitId),
}

/// What is known beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The version of Quire that signs.
    pub quire_version: String,
}

/// What is said about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// Which attempt, and who says so.
    #[serde(flatten)]
    pub about: About,
    /// What the turn was allowed to do.
    pub mode: Mode,
    /// What it went on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
    /// The commit it started on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<CommitId>,
    /// The commit it ended with, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<CommitId>,
    /// Events in the log.
    pub events: u64,
    /// How it ended; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The output of every command that ended, in the order they ended.
    pub chunks: Vec<StatedChunk>,
    /// The declared checks.
    pub checks: Vec<StatedCheck>,
    /// The answer's citations, as looked at last.
    pub citations: Vec<CheckedCitation>,
}

/// The output of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedChunk {
    /// Its id.
    pub id: ChunkId,
    /// What ran.
    pub command: String,
    /// How it ended.
    pub exit: ExitStatus,
    /// Who ended it, if it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// Digest of the bytes that were kept.
    pub sha256: Sha256,
    /// Bytes printed, kept or not.
    pub bytes: u64,
    /// Lines printed, kept or not.
    pub lines: u64,
    /// The lines that were not kept, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<(u64, u64)>,
}

/// A declared check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedCheck {
    /// Which.
    pub check: CheckSpec,
    /// The commit it ran on.
    pub commit: CommitId,
    /// Its output.
    pub chunk: ChunkId,
    /// How it ended; absent at its time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
}

/// Why no statement can be made of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It does not begin with `submitted`.
    #[error("the log does not begin with a request")]
    NoRequest,
}

impl Statement {
    /// Sums a log up. The caller has verified its chain.
    pub fn of_log(entries: &[LogEntry], about: About) -> Result<Self, StatementError> {
        let _ = (entries, about);
        Err(StatementError::NoRequest)
    }
}
