//! One attempt: its log, its result, what its commands printed.

use quire_domain::attempt::DiffStat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::state::DiffStatSchema;
use crate::task::AttemptSummary;

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its task's number.
    pub task: u64,
    /// Its turn's place in the task.
    pub turn: u32,
    /// As its task shows it.
    #[serde(flatten)]
    pub summary: AttemptSummary,
    /// The attempts that it continues, nearest first: their outputs may be cited as well.
    pub continues: Vec<Uuid>,
    /// How many events its log has.
    pub events: u64,
}

/// Which events to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// From this one on; 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, default = 1)]
    pub from: Option<u64>,
    /// Those before this one, in place of `from`: the last ones before it, in their order. One more
    /// than `events` of the attempt gives the end of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    pub before: Option<u64>,
    /// At most so many; fewer where they are large: `next` says where to go on then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 5000, default = 1000)]
    pub limit: Option<u32>,
}

/// A part of a log, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Where the next page begins; absent where the log, or what was asked for, ends by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One event. What kinds there are and what they hold is in `docs/events.md`; who reads must
/// pass over kinds that it does not know.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the log, from 1 without gaps.
    pub seq: u64,
    /// When it was written down, in milliseconds since 1970.
    pub at: u64,
    /// Under which claim.
    pub epoch: u32,
    /// Its kind, e.g. `command_finished`.
    pub kind: String,
    /// What it holds.
    #[schema(value_type = Value)]
    pub body: Box<RawValue>,
    /// Hash of the one before.
    pub prev_hash: String,
    /// Its hash.
    pub hash: String,
}

/// What an attempt ended with, as its log tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptResult {
    /// As its task shows it.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The answer, with citations in their stored form: `【F:path†L1-L2】`, `【3f9a2c†L1】`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The citations after a machine has looked.
    #[schema(value_type = Vec<Object>)]
    pub citations: Vec<Value>,
    /// The last result of each declared check.
    #[schema(value_type = Vec<Object>)]
    pub checks: Vec<Value>,
    /// The commits that were found or made.
    #[schema(value_type = Vec<Object>)]
    pub commits: Vec<Value>,
    /// The plan, as it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Value>,
    /// The question that waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The last event, where it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub finished: Option<Value>,
}

/// The citations of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Citations {
    /// Each with what was found where it points.
    #[schema(value_type = Vec<Object>)]
    pub citations: Vec<Value>,
}

/// Which part of an output to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PieceQuery {
    /// The byte to begin with; 0 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 0, default = 0)]
    pub offset: Option<u64>,
    /// At most so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1_048_576, default = 65_536)]
    pub limit: Option<u32>,
}

/// Which lines of an output to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LineQuery {
    /// The first line; 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, default = 1)]
    pub first: Option<u64>,
    /// The last line; 999 after the first if absent, and at most 9,999 after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    pub last: Option<u64>,
    /// Whether to show them as a terminal would, without control sequences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<bool>,
}

/// A piece of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputPiece {
    /// Where it begins; above what was asked where that was not kept.
    pub offset: u64,
    /// Where to go on.
    pub next: u64,
    /// Its text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// How many bytes were printed by now.
    pub bytes: u64,
    /// How many lines.
    pub lines: u64,
}

/// Lines of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputLines {
    /// The number of the first of them.
    pub first: u64,
    /// Them, without their ends.
    pub lines: Vec<String>,
    /// How many lines were printed by now.
    pub count: u64,
    /// The first line that was not kept, as the output was too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept_first: Option<u64>,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept_last: Option<u64>,
}

/// Which change is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeQuery {
    /// Only the attempt's own turn's, not the whole task's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<bool>,
    /// Against what another attempt of the same task ended with, by its id; from this one to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Uuid>,
    /// Only this file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 4096)]
    pub path: Option<String>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What it is against.
    pub base: String,
    /// The commit it ends with.
    pub head: String,
    /// Its size.
    #[schema(value_type = DiffStatSchema)]
    pub stat: DiffStat,
    /// Its files, by path.
    pub files: Vec<FileChange>,
    /// Whether lines were left out, as there are too many; ask for one file then.
    pub cut: bool,
}

/// A file of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileChange {
    /// Its path; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// `added`, `modified`, `deleted` or `type_changed`.
    pub status: String,
    /// Its mode before, in octal digits; absent if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<String>,
    /// Its mode after; absent if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_mode: Option<String>,
    /// Whether it is binary.
    pub binary: bool,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// What differs.
    pub hunks: Vec<Hunk>,
}

/// Lines that differ, with those around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hunk {
    /// The first line before.
    pub old_first: u64,
    /// How many lines before.
    pub old_lines: u64,
    /// The first line after.
    pub new_first: u64,
    /// How many lines after.
    pub new_lines: u64,
    /// What git says it is in, e.g. a function.
    pub heading: String,
    /// The lines, each with ` `, `+`, `-` or `\` before it.
    pub lines: Vec<String>,
}

/// Which file to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Its path in the repository.
    #[param(min_length = 1, max_length = 4096, example = "README.md")]
    pub path: String,
    /// `head` (what the attempt ended with) or `base`; `head` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 10)]
    pub at: Option<String>,
}
