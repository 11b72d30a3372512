//! How a chore ends, and how that is told.

use std::process::ExitCode;

/// Whether the chore found what it looked for. An `Err` is a chore that could not be done.
pub type Chore = anyhow::Result<Verdict>;

/// What a chore found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Good,
    /// Something is wrong, and it has been told already.
    Bad,
}

impl Verdict {
    /// The verdict of a process that ended with `status`.
    pub fn of(status: std::process::ExitStatus) -> Self {
        if status.success() { Self::Good } else { Self::Bad }
    }

    /// Bad if either is.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Good { other } else { self }
    }
}

/// Tells an error that was not told yet, and gives the exit code: 0 good, 1 bad, 2 could not.
pub fn report(chore: Chore) -> ExitCode {
    match chore {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
