//! Why a patch could not be applied, in the words the model is told.

use std::fmt;

use quire_domain::path::WorkspacePath;

/// A patch was not applied: no file changes. Prints as the model is told it, bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ApplyError {
    /// What is wrong, in the patch's order: the first fault of each file, ten at most.
    pub faults: Vec<Fault>,
}

/// What is wrong with one file of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: WorkspacePath,
    /// What is wrong.
    pub kind: FaultKind,
}

/// The kinds of fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// There is no such file to change, move or delete.
    Missing,
    /// There is such a file already, so it cannot be added or moved to.
    Exists,
    /// The file is larger than [`crate::MAX_FILE_BYTES`].
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A line named after `@@` is not in the file.
    NoHeader {
        /// Which hunk of the file, from 1.
        hunk: usize,
        /// The line of the patch it begins on, from 1.
        at_line: usize,
        /// What was looked for.
        header: String,
        /// The nearest line found.
        nearest: Option<Nearest>,
    },
    /// The lines of a hunk are not in the file, or not below the hunk before.
    NoMatch {
        /// Which hunk of the file, from 1.
        hunk: usize,
        /// The line of the patch it begins on, from 1.
        at_line: usize,
        /// The line of the file the search began after; 0 for its top.
        after: usize,
        /// The lines that were looked for.
        expected: Vec<String>,
        /// Where the same lines stand above `after`: the hunks are not in the file's order.
        above: Option<usize>,
        /// The nearest lines found.
        nearest: Option<Nearest>,
    },
    /// Finding the hunks takes more work than is allowed: the file repeats itself too much.
    TooMuchWork,
}

/// Lines of a file that come near what was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The number of the first, from 1.
    pub first: usize,
    /// The lines, decoded lossily, each cut at 200 characters.
    pub lines: Vec<String>,
}

/// Lines shown of what was expected and of what was found.
pub(crate) const SHOWN_LINES: usize = 20;
/// Characters shown of one line.
const SHOWN_CHARS: usize = 200;

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the patch was not applied; no file was changed")?;
        for fault in &self.faults {
            write!(f, "\n\n{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            FaultKind::Missing => write!(f, "{path}: there is no such file"),
            FaultKind::Exists => write!(
                f,
                "{path}: the file exists already; use `*** Update File:`, or `*** Delete File:` \
                 before it to replace it whole"
            ),
            FaultKind::TooLarge { bytes } => {
                write!(f, "{path}: {bytes} bytes are too many to patch; use a command")
            }
            FaultKind::NoHeader { hunk, at_line, header, nearest } => {
                write!(
                    f,
                    "{path}, hunk {hunk} (line {at_line} of the patch): no line `{}` for its `@@`",
                    shown(header)
                )?;
                show_nearest(nearest.as_ref(), f)
            }
            FaultKind::NoMatch { hunk, at_line, after, expected, above, nearest } => {
                write!(f, "{path}, hunk {hunk} (line {at_line} of the patch): ")?;
                match after {
                    0 => f.write_str("these lines are not in the file:")?,
                    after => write!(f, "these lines are not in the file after line {after}:")?,
                }
                for line in expected.iter().take(SHOWN_LINES) {
                    write!(f, "\n    | {}", shown(line))?;
                }
                if expected.len() > SHOWN_LINES {
                    write!(f, "\n    … {} more", expected.len() - SHOWN_LINES)?;
                }
                match above {
                    Some(above) => write!(
                        f,
                        "\nthey are at line {above}: write the hunks in the order of the file"
                    ),
                    None => show_nearest(nearest.as_ref(), f),
                }
            }
            FaultKind::TooMuchWork => write!(
                f,
                "{path}: the file repeats itself too much to find the hunks; give longer, \
                 more telling context, or use a command"
            ),
        }
    }
}

fn show_nearest(nearest: Option<&Nearest>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(nearest) = nearest else {
        return f.write_str("\nnothing like it was found");
    };
    f.write_str("\nthe nearest in the file:")?;
    for (offset, line) in nearest.lines.iter().enumerate() {
        write!(f, "\n{:>5} {line}", nearest.first + offset)?;
    }
    Ok(())
}

/// A line as it is shown: cut, and marked where it was.
pub(crate) fn shown(line: &str) -> String {
    let mut cut: String = line.chars().take(SHOWN_CHARS).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    cut
}
