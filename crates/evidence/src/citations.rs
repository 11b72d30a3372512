//! Reads citations from an answer, in the stored form and in near forms that models write.

use std::ops::Range;

use quire_domain::citation::Citation;

/// An answer, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The answer with every citation in its stored form.
    pub text: String,
    /// What was found, in order.
    pub found: Vec<Found>,
}

impl Reading {
    /// The citations that could be read, in order, repeats included.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.found.iter().filter_map(|found| match found {
            Found::Citation { citation, .. } => Some(citation),
            Found::Malformed { .. } => None,
        })
    }
}

/// Something in an answer that is, or was meant as, a citation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A citation.
    Citation {
        /// What it says.
        citation: Citation,
        /// Where it stands in [`Reading::text`], in bytes.
        at: Range<usize>,
    },
    /// Meant as one, but not readable; left as it is.
    Malformed {
        /// As written, cut at 200 characters.
        raw: String,
        /// What is wrong with it.
        why: Malformed,
        /// Where it stands in [`Reading::text`], in bytes.
        at: Range<usize>,
    },
}

/// Why something that was meant as a citation cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No line is given.
    #[error("it names no line; write `†L<line>`")]
    NoLine,
    /// The line is 0 or larger than a file can be.
    #[error("lines are counted from 1")]
    BadLine,
    /// The path is none of the working tree.
    #[error("the path must be relative to the root of the repository")]
    BadPath,
    /// Neither a file nor a chunk of output.
    #[error("it must name a file (`F:<path>`) or a command's output (six hex digits)")]
    NoTarget,
}

/// Reads an answer whose paths are relative to the root of the repository.
pub fn read(answer: &str) -> Reading {
    read_under(answer, "")
}

/// Reads an answer; absolute paths below `root`, where the repository lies inside the sandbox,
/// are read as relative ones.
pub fn read_under(answer: &str, root: &str) -> Reading {
    let _ = root;
    Reading { text: answer.to_owned(), found: Vec::new() }
}
