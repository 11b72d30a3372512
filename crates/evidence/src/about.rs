//! What a bundle is about, in its own words: so that a person sees whether it is what they asked for.

use quire_domain::event::EventBody;
use quire_domain::ids::{AttemptId, CommitId, TaskId, TaskNumber};

use crate::bundle::Bundle;
use crate::statement::{Statement, StatementError};

/// What the signed record says of itself. Worth as much as the bundle: see
/// [`Bundle::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAbout {
    /// The task.
    pub task: TaskId,
    /// The number of the task where it was signed; absent in evidence of earlier versions.
    pub number: Option<TaskNumber>,
    /// The attempt.
    pub attempt: AttemptId,
    /// The attempt's place in its turn, from 1; `None` if the request cannot be read.
    pub ordinal: Option<u8>,
    /// The first line of what was asked for that is not blank, untrusted and of any length.
    pub request: Option<String>,
    /// Whether it goes on from another attempt.
    pub is_follow_up: bool,
    /// The commit it started on.
    pub base: Option<CommitId>,
    /// The commit it ended with, if it made one.
    pub head: Option<CommitId>,
}

impl RecordAbout {
    /// Reads it from the signed statement and, for the request, from the log that the statement
    /// names by its hash.
    ///
    /// # Errors
    ///
    /// [`StatementError::NoStatement`] if the statement cannot be read.
    pub fn of(bundle: &Bundle) -> Result<Self, StatementError> {
        let said = Statement::from_envelope(&bundle.envelope)?.predicate;
        let first = bundle.entries.first().map(|entry| entry.event_with(&bundle.contents).body);
        let (ordinal, request) = match first {
            Some(EventBody::Submitted(submitted)) => {
                let mut lines = submitted.request.prompt.lines().map(str::trim);
                let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
                (Some(submitted.ordinal), Some(line.to_owned()))
            }
            _ => (None, None),
        };
        Ok(Self {
            task: said.about.task,
            number: said.about.number,
            attempt: said.about.attempt,
            ordinal,
            request,
            is_follow_up: said.continues.is_some(),
            base: said.base,
            head: said.head,
        })
    }
}
