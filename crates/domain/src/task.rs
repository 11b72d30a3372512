//! What a person asked for: tasks and turns.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::environment::{CheckSpec, Environment};
use crate::ids::{AttemptId, CommitId, Sha256, TaskId, TaskNumber, TurnId};
use crate::time::Timestamp;

/// What a turn may do, and what it ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// May change files; ends in commits.
    Code,
    /// Ends in an answer; works in a throw-away copy.
    Ask,
    /// Ends in a plan that a person approves, edits or rejects; works in a throw-away copy.
    Plan,
    /// Ends in findings on a diff; works in a throw-away copy.
    Review,
}

impl Mode {
    /// Whether what the attempt writes is kept.
    pub fn keeps_changes(self) -> bool {
        matches!(self, Self::Code)
    }

    /// The word used in logs and at the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Ask => "ask",
            Self::Plan => "plan",
            Self::Review => "review",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task as the store keeps it. Its state is that of its newest turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What people type.
    pub number: TaskNumber,
    /// The first line of the first prompt, at most 120 characters.
    pub title: String,
    /// Where the repository is: an absolute path or a URL without credentials.
    pub repository: String,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it was put away, if it was.
    pub archived_at: Option<Timestamp>,
}

/// A turn as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// The task it belongs to.
    pub task: TaskId,
    /// Its place in the task, from 1.
    pub ordinal: u32,
    /// What the person asked for.
    pub request: Request,
    /// The attempt that a person (or the system, of one) chose.
    pub chosen: Option<AttemptId>,
    /// When it was submitted.
    pub created_at: Timestamp,
}

/// What a person asks for in one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to do with it.
    pub mode: Mode,
    /// The person's own words, at most 1 MiB.
    pub prompt: String,
    /// Pictures that belong to the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// `provider/model` or a model's name, as the catalogue knows it.
    pub model: String,
    /// How many attempts, 1 to 4.
    pub attempts: u8,
    /// What they may cost together.
    #[serde(default)]
    pub budget: Budget,
    /// Checks declared with the request, beside those of the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
    /// Whether declared checks are skipped, as time is short.
    #[serde(default)]
    pub skip_checks: bool,
    /// Whether history before the base may be rewritten (a squash was asked for).
    #[serde(default)]
    pub allow_rewrite: bool,
    /// Whether the model may ask the person. Of a turn of several attempts none may.
    #[serde(default)]
    pub questions: bool,
    /// A JSON Schema that the final answer has to fit, as text; the answer is then one JSON value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<String>,
    /// What a review is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewTarget>,
    /// Where all attempts of the turn start, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartPoint>,
    /// The recipe as it was when the turn was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

impl Request {
    /// Whether questions are offered: of several attempts at once none may ask.
    pub fn may_ask(&self) -> bool {
        self.questions && self.attempts == 1
    }
}

/// Where the attempts of a turn start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPoint {
    /// The commit they start on, and that their diffs are against.
    pub base: CommitId,
    /// The commit that was checked out or named; differs from `base` where uncommitted work was
    /// put into a commit of Quire's own.
    pub head: CommitId,
    /// The branch that is checked out or named, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Files of uncommitted work in `base`.
    #[serde(default)]
    pub uncommitted: u32,
}

/// A picture that is kept as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its bytes.
    pub blob: Sha256,
    /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    pub media_type: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Which diff a review looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewTarget {
    /// What the checked-out state adds since it left this branch or commit.
    Base(String),
    /// One commit.
    Commit(String),
    /// What is not committed yet.
    Uncommitted,
}

/// The attempt of an earlier turn that an attempt goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continues {
    /// That attempt.
    pub attempt: AttemptId,
    /// The final hash of its log.
    pub final_hash: Sha256,
}
