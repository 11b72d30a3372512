//! The statement: what an attempt did, summed up from its log, in in-toto's form.

use std::collections::{BTreeMap, HashMap};

use quire_domain::attempt::Outcome;
use quire_domain::citation::CheckedCitation;
use quire_domain::environment::CheckSpec;
use quire_domain::event::{EndedBy, EventBody};
use quire_domain::ids::{AttemptId, ChunkId, CommitId, Sha256, TaskId, TaskNumber};
use quire_domain::journal::ChunkSummary;
use quire_domain::sandbox::ExitStatus;
use quire_domain::task::{Continues, Mode};
use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::dsse::{self, Envelope};
use crate::keys::InstallationKey;
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
    /// The number people type for it; absent in statements of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<TaskNumber>,
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
    /// Whether work was cut short.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
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

/// Why no statement can be made of a log, or read from an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It does not begin with `submitted`.
    #[error("the log does not begin with a request")]
    NoRequest,
    /// What was signed is no statement, or of a kind that is not known.
    #[error("what was signed is no statement about an attempt, or of a later version of Quire")]
    NoStatement,
    /// It has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl Statement {
    /// Sums a log up. The caller has verified its chain, or is about to.
    pub fn of_log(entries: &[LogEntry], about: About) -> Result<Self, StatementError> {
        Self::of_log_with(entries, &BTreeMap::new(), about)
    }

    /// As [`Self::of_log`], for a log with events that were too large for it: `blobs` holds what
    /// [`Self::blobs`] names. They belong into the bundle's contents too.
    pub fn of_log_with(
        entries: &[LogEntry],
        blobs: &BTreeMap<Sha256, Vec<u8>>,
        about: About,
    ) -> Result<Self, StatementError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(StatementError::NoRequest);
        };
        let EventBody::Submitted(submitted) = first.event_with(blobs).body else {
            return Err(StatementError::NoRequest);
        };
        let mut predicate = Predicate {
            about,
            mode: submitted.request.mode,
            continues: submitted.continues,
            base: None,
            head: None,
            events: entries.len() as u64,
            outcome: None,
            partial: false,
            chunks: Vec::new(),
            checks: Vec::new(),
            citations: Vec::new(),
        };
        let mut commands = HashMap::new();
        for entry in entries {
            // Citations belong to the reply before them; of a reply that the gate sent back they
            // are void.
            if entry.kind == "model_replied" {
                predicate.citations.clear();
            }
            // Most of a log is what models and tools said; only what is stated is opened.
            if STATED.contains(&entry.kind.as_str()) {
                predicate.take(entry.event_with(blobs).body, &mut commands);
            }
        }
        let log = SubjectDigest::Sha256(last.hash.clone());
        let mut subject = vec![Subject { name: "log".to_owned(), digest: log }];
        if let Some(head) = &predicate.head {
            let digest = SubjectDigest::GitCommit(head.clone());
            subject.push(Subject { name: "commit".to_owned(), digest });
        }
        Ok(Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate,
        })
    }

    /// The blobs that a statement is made of, where events were too large for the log.
    pub fn blobs(entries: &[LogEntry]) -> Vec<Sha256> {
        let stated =
            |entry: &&LogEntry| entry.kind == "answered" || STATED.contains(&entry.kind.as_str());
        entries.iter().filter(stated).filter_map(LogEntry::blob).collect()
    }

    /// Its canonical bytes, in an envelope signed by `key`.
    pub fn sign(&self, key: &InstallationKey) -> Result<Envelope, StatementError> {
        let value = serde_json::to_value(self).map_err(|_| StatementError::NoStatement)?;
        Ok(dsse::sign(&canonical::to_vec(&value)?, key))
    }

    /// Reads the statement from an envelope, whoever signed it.
    pub fn from_envelope(envelope: &Envelope) -> Result<Self, StatementError> {
        let payload = dsse::payload(envelope).ok_or(StatementError::NoStatement)?;
        let statement: Self =
            serde_json::from_slice(&payload).map_err(|_| StatementError::NoStatement)?;
        let known = statement.statement_type == STATEMENT_TYPE
            && statement.predicate_type == PREDICATE_TYPE;
        if known { Ok(statement) } else { Err(StatementError::NoStatement) }
    }
}

/// The kinds of event that a statement is made of.
const STATED: [&str; 8] = [
    "submitted",
    "base_captured",
    "command_started",
    "command_finished",
    "check_finished",
    "cited",
    "committed",
    "finished",
];

impl Predicate {
    fn take(&mut self, body: EventBody, commands: &mut HashMap<ChunkId, String>) {
        match body {
            EventBody::BaseCaptured(captured) => self.base = Some(captured.base),
            EventBody::CommandStarted(started) => {
                commands.insert(started.chunk, started.command);
            }
            EventBody::CommandFinished(finished) => {
                let ChunkSummary { id, size, sha256, not_kept } = finished.chunk;
                self.chunks.push(StatedChunk {
                    command: commands.get(&id).cloned().unwrap_or_default(),
                    id,
                    exit: finished.exit,
                    ended_by: finished.ended_by,
                    sha256,
                    bytes: size.bytes,
                    lines: size.lines,
                    not_kept,
                });
            }
            EventBody::CheckFinished(finished) => self.checks.push(StatedCheck {
                check: finished.check,
                commit: finished.commit,
                chunk: finished.chunk,
                exit: finished.exit,
            }),
            EventBody::Cited(cited) => {
                self.citations.retain(|earlier| earlier.citation != cited.citation);
                self.citations.push(cited);
            }
            EventBody::Committed(committed) => self.head = Some(committed.commit),
            EventBody::Finished(finished) => {
                self.head = finished.head.or_else(|| self.head.take());
                self.outcome = Some(finished.outcome);
                self.partial = finished.partial;
            }
            _ => {}
        }
    }
}
