//! Looks where a citation leads.

use std::borrow::Cow;

use quire_domain::citation::{Citation, CitationFault, CitationVerdict, LineRange};
use quire_domain::ids::{ChunkId, CommitId, Sha256};
use quire_domain::path::WorkspacePath;

use crate::shown::ShownText;

/// A file, opened whole at a commit.
#[derive(Debug, Clone)]
pub struct OpenedFile<'a> {
    /// At which commit.
    pub at: CommitId,
    /// Its bytes.
    pub bytes: Cow<'a, [u8]>,
}

/// The cited lines of a command's output.
#[derive(Debug, Clone)]
pub struct OpenedChunk<'a> {
    /// Digest of the whole chunk.
    pub sha256: Sha256,
    /// Lines it has in all.
    pub lines: u64,
    /// The lines that were not kept (first and last), if any.
    pub not_kept: Option<(u64, u64)>,
    /// The bytes of the lines that were asked for, newlines included; may be cut after 64 KiB.
    pub text: Cow<'a, [u8]>,
    /// Whether the command started before the last change of the working tree.
    pub before_last_change: bool,
}

/// Where citations lead, opened beforehand by the caller.
pub trait Sources {
    /// A file where the answer speaks: the final commit, or the base in a mode that changes
    /// nothing.
    fn file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>>;

    /// A file at the base, in a mode that changes files; `None` in the others.
    fn base_file(&self, path: &WorkspacePath) -> Option<OpenedFile<'_>>;

    /// Whether the attempt made a change, so that files which are no part of it are marked.
    fn has_change(&self) -> bool;

    /// Lines of a chunk of this attempt or of one it continues.
    fn chunk(&self, id: &ChunkId, lines: LineRange) -> Option<OpenedChunk<'_>>;

    /// What the model has seen.
    fn shown(&self) -> &ShownText;
}

/// Looks where a citation leads and what a reader should know about it.
pub fn resolve(citation: &Citation, sources: &dyn Sources) -> CitationVerdict {
    let _ = (citation, sources);
    CitationVerdict::Rejected { why: CitationFault::NoSuchFile }
}
