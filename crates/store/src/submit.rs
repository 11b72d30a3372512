//! What comes in: new tasks and follow-ups.

use quire_domain::attempt::Attempt;
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::task::{Request, Task, Turn};
use quire_domain::time::Timestamp;

/// A task to submit, with its first turn.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// An absolute path, or a URL without credentials.
    pub repository: String,
    /// The first line of the prompt, at most 120 characters; longer ones are cut.
    pub title: String,
    /// What the person asks for. `request.attempts` attempts are offered.
    pub request: Request,
    /// What preparing needs beside the request (environment, base commit): a text of the caller's,
    /// opaque here, given back by [`crate::Store::origin`]. At most 64 KiB.
    pub origin: Option<String>,
    /// A second submit with the same key gives the first one's task.
    pub idempotency_key: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// A turn to add to a task.
#[derive(Debug, Clone)]
pub struct FollowUp {
    /// The task.
    pub task: TaskId,
    /// What the person asks for.
    pub request: Request,
    /// The attempt to go on from; `None` takes the chosen one of the newest turn.
    pub continues: Option<AttemptId>,
    /// As in [`NewTask::origin`].
    pub origin: Option<String>,
    /// As in [`NewTask::idempotency_key`].
    pub idempotency_key: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// What was submitted, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The task.
    pub task: Task,
    /// Its newest turn.
    pub turn: Turn,
    /// The turn's attempts, in their order.
    pub attempts: Vec<Attempt>,
    /// The attempt they continue, in a follow-up.
    pub continues: Option<AttemptId>,
    /// Whether the key had been used and nothing was written.
    pub repeated: bool,
}
