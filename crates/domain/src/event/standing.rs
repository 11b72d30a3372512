//! What comes between an attempt and its end: put away, brought back, cut off, standing still.

use serde::{Deserialize, Serialize};

use crate::attempt::SuspendReason;
use crate::ids::{ChunkId, CommitId, Seq};
use crate::time::Timestamp;

/// See [`super::EventBody::Checkpointed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// A commit with the whole working tree; its parent is the one that was checked out.
    pub commit: CommitId,
    /// How much of it was new, packed.
    pub bytes: u64,
    /// How long it took.
    pub ms: u64,
    /// Files that are not in it as they stand, too large or unreadable; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How many more there are of them.
    #[serde(default)]
    pub more: u32,
}

/// See [`super::EventBody::Restored`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// From what the event with this number put away; 0 from a commit.
    pub from: Seq,
    /// What is gone, as told to the model.
    pub text: String,
}

/// See [`super::EventBody::Interrupted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interrupted {
    /// What was cut off.
    pub what: InterruptedWhat,
}

/// What was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterruptedWhat {
    /// A request to the model: it is asked again.
    ModelRequest,
    /// A command: it is not run again.
    Command(ChunkId),
    /// The attempt, by a person; what was done is partial.
    ByPerson,
    /// What ran in the sandbox while nothing happened there; the attempt goes on.
    Idle {
        /// For how long.
        minutes: u64,
    },
}

/// See [`super::EventBody::Suspended`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspended {
    /// Why.
    pub reason: SuspendReason,
    /// More of it, for the person: which limit, and when it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it goes on by itself at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Suspended {
    /// For a reason that says it all.
    pub fn of(reason: SuspendReason) -> Self {
        Self { reason, detail: None, until: None }
    }
}

/// See [`super::EventBody::Resumed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// A budget that replaces the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<crate::budget::Budget>,
}
