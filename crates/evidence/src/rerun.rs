//! Compares a cited command with two repetitions of it.

use quire_domain::sandbox::ExitStatus;

/// One run of a command: how it ended, and the cited lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How it ended; `None` at its time limit.
    pub exit: Option<ExitStatus>,
    /// The cited lines, by number from 1; a line that is not there is `None`.
    pub lines: Vec<(u32, Option<String>)>,
}

/// What repeating a cited command showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunVerdict {
    /// Both repetitions gave the same exit status and the same lines.
    Reproduced {
        /// Whether times and durations differ, and only those.
        times_differ: bool,
    },
    /// Both agree with each other and not with what was recorded.
    Differs {
        /// The first difference.
        what: Difference,
    },
    /// The repetitions differ from each other, or could not be made.
    NotRepeatable {
        /// Why.
        why: String,
    },
    /// It was cited for a state before the last change, and is not repeated.
    Earlier,
}

/// Where two runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The exit status.
    Exit {
        /// In the first run.
        was: Option<ExitStatus>,
        /// In the other.
        is: Option<ExitStatus>,
    },
    /// A line.
    Line {
        /// Its number, from 1.
        number: u32,
        /// In the first run.
        was: Option<String>,
        /// In the other.
        is: Option<String>,
    },
}

/// What two repetitions at the final commit say about the recorded run.
pub fn compare(original: &Run, first: &Run, second: &Run) -> RerunVerdict {
    let _ = (original, first, second);
    RerunVerdict::Earlier
}
