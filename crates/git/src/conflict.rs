//! Why a file of a change could not be joined with the one that is here.

use crate::path::RepoPath;

/// A file that could not be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which: of a file that was renamed, the name that git tells it by.
    pub path: RepoPath,
    /// Why.
    pub kind: ConflictKind,
}

/// Why a file could not be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// Both sides changed the same lines.
    Lines,
    /// Both sides changed a file that has no lines.
    Binary,
    /// The attempt made a file where another one is.
    InTheWay,
    /// The attempt changed a file that is gone here.
    GoneHere,
    /// The attempt deleted a file that was changed here.
    ChangedHere,
    /// One side made it another kind of thing: a link, a directory.
    Kind,
    /// Both sides renamed it differently, or gave two files one name.
    Names,
    /// It is new on one side, in a directory that the other side renamed.
    Directory,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.kind {
            ConflictKind::Lines => "the same lines were changed on both sides",
            ConflictKind::Binary => "a binary file was changed on both sides",
            ConflictKind::InTheWay => "another file of that name is in the way",
            ConflictKind::GoneHere => "it was changed by the attempt and is gone here",
            ConflictKind::ChangedHere => "it was deleted by the attempt and changed here",
            ConflictKind::Kind => "it is a link or a directory on one side only",
            ConflictKind::Names => "it was renamed on both sides, to names that do not agree",
            ConflictKind::Directory => {
                "it is new in a directory that was renamed on the other side"
            }
        };
        write!(f, "{}: {why}", self.path)
    }
}
