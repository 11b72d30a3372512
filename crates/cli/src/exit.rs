//! Exit codes: documented in `docs/cli.md`, stable.

use std::process::ExitCode;

use quire_domain::attempt::{AttemptState, Outcome};

/// How a command ended, for whoever called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It could not, and said why.
    Failed = 1,
    /// The command line, a file or the configuration is wrong.
    Usage = 2,
    /// The attempt ended as failed.
    AttemptFailed = 3,
    /// The provider or a policy declined.
    Refused = 4,
    /// The attempt stands still and can go on: a budget, a pause.
    Suspended = 5,
    /// Declared checks failed though the attempt ended.
    ChecksFailed = 6,
    /// Evidence did not hold, or an apply met conflicts.
    NotVerified = 7,
    /// No model can be used: no key, no local server, no such model.
    NoModel = 8,
    /// This host cannot make sandboxes.
    NoSandbox = 9,
    /// The attempt waits for an answer (`quire task answer`).
    Waiting = 10,
    /// It was still at work after the time that was given, as `timeout` says it.
    TimedOut = 124,
    /// Cancelled, as a shell would say it of Ctrl-C.
    Cancelled = 130,
}

impl Exit {
    /// The code of an attempt's end.
    pub fn of(state: &AttemptState) -> Self {
        match state {
            AttemptState::Done { outcome } => match outcome {
                Outcome::Answered | Outcome::Changed | Outcome::NoChange => Self::Done,
                Outcome::Refused { .. } => Self::Refused,
                Outcome::Cancelled => Self::Cancelled,
                Outcome::Failed { .. } => Self::AttemptFailed,
            },
            AttemptState::Suspended { .. } => Self::Suspended,
            AttemptState::WaitingForUser => Self::Waiting,
            // The plan that was asked for is there.
            AttemptState::WaitingForApproval => Self::Done,
            AttemptState::Queued | AttemptState::Preparing | AttemptState::Working => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with an exit code of its own.
#[derive(Debug)]
pub struct Stop {
    /// The code.
    pub exit: Exit,
    /// What was wrong and what to do next.
    pub message: String,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

/// An error with the exit code `exit`.
pub fn stop(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Stop { exit, message: message.into() }.into()
}

/// A wrong command line, file or configuration.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    stop(Exit::Usage, message)
}

/// A host that cannot make sandboxes.
pub fn no_sandbox(message: impl Into<String>) -> anyhow::Error {
    stop(Exit::NoSandbox, message)
}
