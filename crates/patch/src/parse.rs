//! Reads a patch in every form that models write.

use quire_domain::path::BadPath;

use crate::patch::Patch;
use crate::place::Place;

/// The largest text that is read as a patch, in bytes.
pub const MAX_PATCH_BYTES: usize = 16 << 20;

/// Why a text is no patch. Told to the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// More than [`MAX_PATCH_BYTES`].
    #[error("the patch has {bytes} bytes; {MAX_PATCH_BYTES} is the limit")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No `*** Begin Patch`, and no file marker first.
    #[error("there is no `*** Begin Patch` line")]
    NoBegin,
    /// No `*** End Patch`: it may have been cut short.
    #[error("there is no `*** End Patch` line; the patch may have been cut short, send it whole")]
    NoEnd,
    /// No file is named.
    #[error("the patch names no file")]
    Empty,
    /// A path that is none of the working tree.
    #[error("line {line} of the patch: {source}")]
    BadPath {
        /// The line of the text, from 1.
        line: usize,
        /// What is wrong with it.
        source: BadPath,
    },
    /// A line that has no place where it stands.
    #[error("line {line} of the patch: expected {expected}, found `{found}`")]
    Unexpected {
        /// The line of the text, from 1.
        line: usize,
        /// What could stand there.
        expected: &'static str,
        /// What stands there, cut at 200 characters.
        found: String,
    },
    /// An update without a change or a move, or a hunk without a line.
    #[error("line {line} of the patch: nothing is changed here")]
    NoChange {
        /// The line of the text, from 1.
        line: usize,
    },
}

impl Patch {
    /// Reads a patch whose paths start from the root of the repository.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_at(text, Place::default())
    }

    /// Reads a patch whose paths start from `place`.
    pub fn parse_at(text: &str, place: Place<'_>) -> Result<Self, ParseError> {
        let _ = place;
        if text.len() > MAX_PATCH_BYTES {
            return Err(ParseError::TooLarge { bytes: text.len() });
        }
        Err(ParseError::NoBegin)
    }
}
