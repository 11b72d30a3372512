//! What people say to an attempt while it works: numbered per task, each applied once, in order.

use quire_domain::budget::Budget;
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something a person wants from the newest turn of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum InputKind {
    /// Said at the next model call.
    Steer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// Said after the model's turn.
    Message {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// The answer to a question of the attempt.
    Answer {
        /// The words, at most 1 MiB.
        text: String,
    },
    /// End it.
    Cancel,
    /// Let it stand still.
    Pause,
    /// Go on under another budget.
    RaiseBudget {
        /// It replaces the one before.
        budget: Budget,
    },
}

/// An input to put.
#[derive(Debug, Clone)]
pub struct NewInput {
    /// The task.
    pub task: TaskId,
    /// The attempt it is for; `None` is all of the newest turn.
    pub attempt: Option<AttemptId>,
    /// What is wanted.
    pub kind: InputKind,
    /// The time.
    pub now: Timestamp,
}

/// An input as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its number among the task's inputs, from 1.
    pub number: u64,
    /// What is wanted.
    pub kind: InputKind,
    /// When it was put.
    pub at: Timestamp,
}
