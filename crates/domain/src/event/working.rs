//! What the model does inside: commands, patches, files.

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, ChunkId};
use crate::journal::ChunkSummary;
use crate::sandbox::ExitStatus;
use crate::task::Image;

/// Why a command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandPurpose {
    /// The model called it.
    Call(CallId),
    /// A declared check.
    Check(String),
    /// The environment's setup.
    Setup,
    /// A service of the environment, by its name.
    Service(String),
}

/// See [`super::EventBody::CommandStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandStarted {
    /// Where its output goes.
    pub chunk: ChunkId,
    /// Why it runs.
    pub purpose: CommandPurpose,
    /// What `bash -c` is given.
    pub command: String,
    /// Where, inside.
    pub workdir: String,
    /// Whether it has a terminal.
    #[serde(default)]
    pub terminal: bool,
}

/// See [`super::EventBody::CommandFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandFinished {
    /// Its output.
    pub chunk: ChunkSummary,
    /// How it ended.
    pub exit: ExitStatus,
    /// How long it ran.
    pub ms: u64,
    /// Why it was ended, if it did not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
}

/// Who ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its time limit.
    Timeout,
    /// The model, by a signal or a closed terminal.
    Model,
    /// The end of the attempt.
    AttemptEnd,
    /// The death of the sandbox or of a worker.
    SandboxGone,
    /// The limit of time in which nothing happened in the sandbox.
    Idle,
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTouched {
    /// Which.
    pub path: String,
    /// Where it was before, if it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Added, changed or removed.
    pub change: FileChangeKind,
    /// Lines added.
    #[serde(default)]
    pub added: u32,
    /// Lines removed.
    #[serde(default)]
    pub removed: u32,
}

/// Added, changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It was not there.
    Added,
    /// Its content (or place) changed.
    Changed,
    /// It is gone.
    Removed,
}

/// See [`super::EventBody::PatchApplied`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchApplied {
    /// The call.
    pub call_id: CallId,
    /// What it did.
    pub files: Vec<FileTouched>,
}

/// See [`super::EventBody::PatchRejected`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchRejected {
    /// The call.
    pub call_id: CallId,
    /// Why, as told to the model.
    pub reason: String,
}

/// See [`super::EventBody::FileViewed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileViewed {
    /// The call.
    pub call_id: CallId,
    /// The file.
    pub path: String,
    /// The picture as it was then.
    pub image: Image,
}

/// See [`super::EventBody::FilesChanged`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilesChanged {
    /// The last call of the step that changed them.
    pub call_id: CallId,
    /// Which, relative to the repository; at most 200.
    pub paths: Vec<String>,
    /// Whether there were more.
    #[serde(default)]
    pub more: bool,
}
