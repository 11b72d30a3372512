//! Citations: evidence for a sentence of the answer.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::ids::{ChunkId, CommitId, Sha256};
use crate::path::WorkspacePath;

/// Lines, counted from 1, both ends included; `last >= first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineRange {
    /// The first line.
    pub first: NonZeroU32,
    /// The last line.
    pub last: NonZeroU32,
}

impl LineRange {
    /// A range; the ends are swapped if they came the wrong way round.
    pub fn new(first: NonZeroU32, last: NonZeroU32) -> Self {
        Self { first: first.min(last), last: first.max(last) }
    }
}

impl fmt::Display for LineRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "L{}", self.first)
        } else {
            write!(f, "L{}-L{}", self.first, self.last)
        }
    }
}

/// What a citation points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitationTarget {
    /// Lines of a file of the repository.
    File(WorkspacePath),
    /// Lines that a command printed.
    Chunk(ChunkId),
}

/// One citation, in the stored form `【F:path†L1-L2】` or `【chunk†L1】`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Citation {
    /// What it points at.
    pub target: CitationTarget,
    /// Which lines of it.
    pub lines: LineRange,
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            CitationTarget::File(path) => write!(f, "【F:{path}†{}】", self.lines),
            CitationTarget::Chunk(chunk) => write!(f, "【{chunk}†{}】", self.lines),
        }
    }
}

/// A citation after a machine has looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedCitation {
    /// As stored.
    pub citation: Citation,
    /// What was found.
    pub verdict: CitationVerdict,
}

/// What was found where a citation points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum CitationVerdict {
    /// The lines exist and are not all blank.
    Resolved {
        /// Where a file's lines were found; absent for a chunk.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<CommitId>,
        /// SHA-256 of the whole file or of the chunk's bytes.
        source: Sha256,
        /// The text of the lines, cut at 4 KiB.
        text: String,
        /// What a reader should know about it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        marks: Vec<CitationMark>,
    },
    /// It leads nowhere.
    Rejected {
        /// Why.
        why: CitationFault,
    },
}

/// What a reader should know about a citation that resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitationMark {
    /// That text was never shown to the model nor written by it.
    Unseen,
    /// The command ran before the last change.
    Stale,
    /// The change deleted these lines; they were found at the base.
    Deleted,
    /// The attempt made a change, and this file is no part of it.
    Unchanged,
}

/// Why a citation was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CitationFault {
    /// Neither the final commit nor the base has such a file.
    NoSuchFile,
    /// No command of the attempt has that id.
    NoSuchChunk,
    /// There are fewer lines.
    NoSuchLine,
    /// All cited lines are blank.
    Blank,
    /// The file is not text.
    Binary,
    /// The cited lines of the output were not kept, as it was too large.
    NotKept,
}

impl fmt::Display for CitationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchFile => "there is no such file",
            Self::NoSuchChunk => "no command has that id",
            Self::NoSuchLine => "there are fewer lines",
            Self::Blank => "the lines are blank",
            Self::Binary => "the file is not text",
            Self::NotKept => "these lines of the output were not kept",
        })
    }
}
