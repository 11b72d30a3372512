//! What an attempt is made ready with, before and around the loop.

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, CommitId};
use crate::task::{Continues, Request};

/// See [`super::EventBody::Submitted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// What was asked for.
    pub request: Request,
    /// The attempt's place in its turn, from 1.
    pub ordinal: u8,
    /// What it goes on from, in a follow-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Continues>,
}

/// See [`super::EventBody::Claimed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The worker's name.
    pub worker: String,
    /// Its version of Quire.
    pub version: String,
}

/// See [`super::EventBody::BaseCaptured`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseCaptured {
    /// The commit the attempt starts on; its diff is against this one.
    pub base: CommitId,
    /// The commit that was checked out or named; differs from `base` where uncommitted work was
    /// put into a commit of Quire's own.
    pub head: CommitId,
    /// The branch, if one is checked out or named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Files of uncommitted work in `base`.
    #[serde(default)]
    pub uncommitted: u32,
    /// Where the repository lies inside the sandbox.
    pub workspace: String,
    /// What the root of its sandboxes is made of, where that is not the host's: an image's or a
    /// tar's digest. What goes on from this attempt stands on the same, whatever the name stands
    /// for by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The key of the snapshot that its environment calls for, where something is to be set up:
    /// repeating its commands stands on the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// What of the host is shown beside it, and the cache's word, each a line for the person.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The phases around the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The repository's commits are fetched and its base is found.
    Repository,
    /// The checkout layer is made.
    Checkout,
    /// The base image is brought.
    Image,
    /// The environment's setup runs.
    Setup,
    /// The environment's services are started.
    Services,
    /// The sandbox is made.
    Sandbox,
    /// Declared checks run.
    Checks,
    /// The working tree is put away.
    Checkpoint,
    /// The result is taken out.
    Collect,
}

impl Phase {
    /// The word shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Checkout => "checkout",
            Self::Image => "image",
            Self::Setup => "setup",
            Self::Services => "services",
            Self::Sandbox => "sandbox",
            Self::Checks => "checks",
            Self::Checkpoint => "checkpoint",
            Self::Collect => "collect",
        }
    }
}

/// See [`super::EventBody::PhaseStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseStarted {
    /// Which.
    pub phase: Phase,
}

/// See [`super::EventBody::PhaseFinished`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseFinished {
    /// Which.
    pub phase: Phase,
    /// How long it took.
    pub ms: u64,
    /// What came of it, e.g. `cache hit`; a line for the person.
    pub detail: String,
    /// Whether it failed.
    #[serde(default)]
    pub failed: bool,
}

/// See [`super::EventBody::InstructionsLoaded`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstructionsLoaded {
    /// At the start, or on first touch.
    pub at: InstructionsAt,
    /// The files, in the order they are shown.
    pub files: Vec<InstructionFile>,
    /// The text as the model is shown it.
    pub text: String,
}

/// When instruction files were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstructionsAt {
    /// Before the first request: a message of its own.
    Start,
    /// When a step first touched something under them: added to the result of this call.
    Call(CallId),
}

/// An instruction file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructionFile {
    /// Relative to the repository, or absolute for those outside.
    pub path: String,
    /// The directory it holds for, relative to the repository (`""` is its root); `None` for one
    /// that holds everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How much of it is shown: less than `bytes` where the budget cut it.
    pub shown_bytes: u64,
}
