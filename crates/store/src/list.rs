//! Lists of tasks, newest first.

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::TaskNumber;
use quire_domain::task::{Mode, Task};
use quire_domain::time::Timestamp;

/// Which tasks to list. The default is the newest 50 that are not archived.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only tasks in one of these states, by the words of [`AttemptState::word`]; empty is all.
    pub states: Vec<String>,
    /// Only tasks of this repository.
    pub repository: Option<String>,
    /// `Some(true)` lists only archived ones, `Some(false)` and `None` only the others.
    pub archived: Option<bool>,
    /// Only tasks whose title holds this text; ASCII letters match in both cases.
    pub text: Option<String>,
    /// At most so many, 1 to 500; 0 is 50.
    pub limit: u32,
    /// Only tasks with a lower number: the page before's [`Page::next`].
    pub before: Option<TaskNumber>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The tasks, newest first.
    pub tasks: Vec<Listed>,
    /// Where the next page starts, if there is more.
    pub next: Option<TaskNumber>,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The task.
    pub task: Task,
    /// The state of its newest turn: of several attempts, of the one that most needs a person.
    pub state: AttemptState,
    /// What the newest turn may do.
    pub mode: Mode,
    /// How many turns there are.
    pub turns: u32,
    /// The attempts of the newest turn.
    pub attempts: Vec<Attempt>,
    /// When its state last changed.
    pub updated_at: Timestamp,
}
