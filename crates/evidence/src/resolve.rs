//! Looks where a citation leads.

use std::borrow::Cow;
use std::collections::HashSet;

use quire_domain::citation::{
    Citation, CitationFault, CitationMark, CitationTarget, CitationVerdict, LineRange,
};
use quire_domain::ids::{ChunkId, CommitId, Sha256};
use quire_domain::path::WorkspacePath;

use crate::digest::sha256;
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

/// The text of a citation is cut after this many bytes.
pub const MAX_CITED_BYTES: usize = 4096;
/// A NUL in the first bytes of a file says that it is not text, as in git.
const BINARY_PROBE: usize = 8000;

/// Looks where a citation leads and what a reader should know about it.
pub fn resolve(citation: &Citation, sources: &dyn Sources) -> CitationVerdict {
    let found = match &citation.target {
        CitationTarget::File(path) => file(path, citation.lines, sources),
        CitationTarget::Chunk(id) => chunk(id, citation.lines, sources),
    };
    found.unwrap_or_else(|why| CitationVerdict::Rejected { why })
}

fn file(
    path: &WorkspacePath,
    lines: LineRange,
    sources: &dyn Sources,
) -> Result<CitationVerdict, CitationFault> {
    let base = sources.base_file(path);
    let (opened, text, deleted) = match (sources.file(path), base) {
        (None, None) => return Err(CitationFault::NoSuchFile),
        (None, Some(base)) => {
            let text = file_lines(&base.bytes, lines)?;
            (base, text, true)
        }
        (Some(now), base) => match file_lines(&now.bytes, lines) {
            Ok(text) => {
                let unchanged =
                    sources.has_change() && base.is_some_and(|base| base.bytes == now.bytes);
                let mut marks = unseen(&text, sources.shown());
                marks.extend(unchanged.then_some(CitationMark::Unchanged));
                return Ok(resolved(Some(now.at), sha256(&now.bytes), &text, marks));
            }
            Err(CitationFault::NoSuchLine) => {
                let base = base.ok_or(CitationFault::NoSuchLine)?;
                let text = file_lines(&base.bytes, lines)?;
                // The lines are gone only if they stand nowhere else now.
                if still_there(&text, &now.bytes) {
                    return Err(CitationFault::NoSuchLine);
                }
                (base, text, true)
            }
            Err(why) => return Err(why),
        },
    };
    let mut marks = unseen(&text, sources.shown());
    marks.extend(deleted.then_some(CitationMark::Deleted));
    Ok(resolved(Some(opened.at), sha256(&opened.bytes), &text, marks))
}

fn chunk(
    id: &ChunkId,
    lines: LineRange,
    sources: &dyn Sources,
) -> Result<CitationVerdict, CitationFault> {
    let opened = sources.chunk(id, lines).ok_or(CitationFault::NoSuchChunk)?;
    let (first, last) = (u64::from(lines.first.get()), u64::from(lines.last.get()));
    if last > opened.lines {
        return Err(CitationFault::NoSuchLine);
    }
    if opened.not_kept.is_some_and(|(from, to)| first <= to && from <= last) {
        return Err(CitationFault::NotKept);
    }
    let text = String::from_utf8_lossy(&opened.text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.trim().is_empty() {
        return Err(CitationFault::Blank);
    }
    let mut marks = unseen(text, sources.shown());
    marks.extend(opened.before_last_change.then_some(CitationMark::Stale));
    Ok(resolved(None, opened.sha256, text, marks))
}

/// The cited lines of a file, without the last newline, decoded lossily.
///
/// # Errors
///
/// The fault to reject the citation with.
pub fn file_lines(bytes: &[u8], lines: LineRange) -> Result<String, CitationFault> {
    if bytes[..bytes.len().min(BINARY_PROBE)].contains(&0) {
        return Err(CitationFault::Binary);
    }
    let text = lines_of(bytes, lines).ok_or(CitationFault::NoSuchLine)?;
    if text.trim().is_empty() { Err(CitationFault::Blank) } else { Ok(text) }
}

/// The lines of some text, without the last newline; `None` if there are fewer.
pub(crate) fn lines_of(bytes: &[u8], lines: LineRange) -> Option<String> {
    let (first, last) = (lines.first.get() as usize, lines.last.get() as usize);
    let mut found = bytes.split_inclusive(|byte| *byte == b'\n').skip(first - 1);
    let mut text = Vec::new();
    for _ in first..=last {
        text.extend_from_slice(found.next()?);
    }
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Cut to what is stored of a citation's text.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_CITED_BYTES)]
}

fn resolved(
    at: Option<CommitId>,
    source: Sha256,
    text: &str,
    marks: Vec<CitationMark>,
) -> CitationVerdict {
    CitationVerdict::Resolved { at, source, text: cut(text).to_owned(), marks }
}

fn unseen(text: &str, shown: &ShownText) -> Vec<CitationMark> {
    if text.lines().all(|line| shown.has_line(line)) {
        Vec::new()
    } else {
        vec![CitationMark::Unseen]
    }
}

/// Whether any line of `text` that says something stands in `bytes`.
fn still_there(text: &str, bytes: &[u8]) -> bool {
    let now: HashSet<&[u8]> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    text.lines().any(|line| {
        let line = line.trim();
        line.contains(char::is_alphanumeric) && now.contains(line.as_bytes())
    })
}
