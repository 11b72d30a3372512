//! Reads a patch in every form that models write.

use quire_domain::path::{BadPath, WorkspacePath};

use crate::fault::shown;
use crate::heredoc;
use crate::markers::{Marker, header};
use crate::patch::{FilePatch, Hunk, HunkLine, Patch};
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
    /// An update without a change or a move.
    #[error("line {line} of the patch: nothing is changed here")]
    NoChange {
        /// The line of the text, from 1.
        line: usize,
    },
}

const FILE_MARKER: &str = "`*** Add File:`, `*** Delete File:` or `*** Update File:`";
const ADDED_LINE: &str = "a line that starts with `+`";
const HUNK_LINE: &str = "a line that starts with `@@`, ` `, `+` or `-`";

impl Patch {
    /// Reads a patch whose paths start from the root of the repository.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_at(text, Place::default())
    }

    /// Reads a patch whose paths start from `place`. Words, code fences and shell around it are
    /// passed over; what stands between its markers has to be a patch, whole.
    pub fn parse_at(text: &str, place: Place<'_>) -> Result<Self, ParseError> {
        if text.len() > MAX_PATCH_BYTES {
            return Err(ParseError::TooLarge { bytes: text.len() });
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines: Vec<&str> = text.split('\n').collect();
        if first_line(&lines).is_none()
            && let Some(inner) = heredoc::unwrap(text)
        {
            let lines: Vec<&str> = inner.patch.split('\n').collect();
            return read(&lines, place);
        }
        read(&lines, place)
    }
}

/// Where the patch begins: the line of `*** Begin Patch`, or a file marker that comes first.
fn first_line(lines: &[&str]) -> Option<usize> {
    lines.iter().position(|line| Marker::of(line) == Some(Marker::Begin)).or_else(|| {
        let first = lines.iter().position(|line| !line.trim().is_empty())?;
        Marker::of(lines[first]).is_some_and(Marker::names_file).then_some(first)
    })
}

fn read(lines: &[&str], place: Place<'_>) -> Result<Patch, ParseError> {
    let mut from = first_line(lines).ok_or(ParseError::NoBegin)?;
    let mut files = Vec::new();
    loop {
        let end = last_line(lines, from).ok_or(ParseError::NoEnd)?;
        let start = if Marker::of(lines[from]) == Some(Marker::Begin) { from + 1 } else { from };
        let layout = Layout::of(&lines[from..end]);
        let mut reader = Reader { place, files: &mut files, section: Section::None };
        for (offset, line) in lines[start..end].iter().enumerate() {
            let next = lines[start..end].get(offset + 1).map(|next| layout.bare(next));
            reader.line(start + offset + 1, layout.bare(line), next)?;
        }
        reader.close(end + 1)?;
        // A second patch may follow in the same text.
        let rest = &lines[end + 1..];
        match rest.iter().position(|line| line.trim_end() == "*** Begin Patch") {
            Some(next) => from = end + 1 + next,
            None => break,
        }
    }
    if files.is_empty() { Err(ParseError::Empty) } else { Ok(Patch { files }) }
}

/// The line of `*** End Patch`. With white space before it, it could be a line of a file that
/// stays: it counts only where nothing of a patch follows.
fn last_line(lines: &[&str], from: usize) -> Option<usize> {
    let end = |line: &&str| Marker::of(line) == Some(Marker::End);
    let plain = lines[from..].iter().position(|line| line.starts_with("***") && end(line));
    plain
        .or_else(|| {
            let last = lines[from..].iter().rposition(end)?;
            let follows = lines[from + last + 1..]
                .iter()
                .any(|line| line.starts_with(['+', '-', ' ', '@', '*']) && !line.trim().is_empty());
            (!follows).then_some(last)
        })
        .map(|offset| from + offset)
}

/// What stands around every line of a patch and is no part of it.
struct Layout<'a> {
    indent: &'a str,
    carriage_returns: bool,
}

impl<'a> Layout<'a> {
    /// Of the lines from `*** Begin Patch` to before `*** End Patch`.
    fn of(lines: &[&'a str]) -> Self {
        let first = lines.first().copied().unwrap_or_default();
        let indent = &first[..first.len() - first.trim_start().len()];
        let filled = || lines.iter().filter(|line| !line.trim().is_empty());
        // The whole is set in only if a marker after the first is, by just as much.
        let uniform = !indent.is_empty()
            && filled().all(|line| line.starts_with(indent))
            && filled().nth(1).is_some_and(|line| line[indent.len()..].starts_with("***"));
        Self {
            indent: if uniform { indent } else { "" },
            carriage_returns: lines.iter().all(|line| line.ends_with('\r')),
        }
    }

    fn bare(&self, line: &'a str) -> &'a str {
        let line = line.strip_prefix(self.indent).unwrap_or(line);
        if self.carriage_returns { line.strip_suffix('\r').unwrap_or(line) } else { line }
    }
}

/// Takes the lines between the markers, one by one.
struct Reader<'p, 'f> {
    place: Place<'p>,
    files: &'f mut Vec<FilePatch>,
    section: Section,
}

/// What the lines before have begun.
enum Section {
    /// Nothing yet.
    None,
    Add {
        path: WorkspacePath,
        lines: Vec<String>,
        blank: usize,
    },
    Delete {
        path: WorkspacePath,
    },
    Update(Update),
}

struct Update {
    path: WorkspacePath,
    at_line: usize,
    move_to: Option<WorkspacePath>,
    hunks: Vec<Hunk>,
    /// The hunk that lines are added to; begun by its `@@` or its first line.
    open: Option<Hunk>,
}

impl Reader<'_, '_> {
    fn line(&mut self, number: usize, line: &str, next: Option<&str>) -> Result<(), ParseError> {
        let marker = Marker::of(line);
        if let Some(marker) = marker
            && marker.names_file()
            && (line.starts_with("***") || !self.in_hunk())
        {
            return self.begin(number, marker);
        }
        match &mut self.section {
            Section::None | Section::Delete { .. } => blank_or(line, number, FILE_MARKER),
            Section::Add { lines, blank, .. } => {
                if let Some(text) = line.strip_prefix('+') {
                    lines.extend(std::iter::repeat_n(String::new(), std::mem::take(blank)));
                    lines.push(text.to_owned());
                } else if line.trim().is_empty() {
                    // A blank line is one of the file's if more of it follows.
                    *blank += 1;
                } else {
                    // Noise that some models put there: a `@@` before the first line, or notes.
                    let noise = (lines.is_empty() && header(line).is_some())
                        || is_no_newline_note(line)
                        || marker == Some(Marker::EndOfFile);
                    if noise {
                        return Ok(());
                    }
                    return Err(unexpected(number, ADDED_LINE, line));
                }
                Ok(())
            }
            Section::Update(update) => update.line(number, line, next, marker, self.place),
        }
    }

    /// Whether a line with white space before it is one of a hunk.
    fn in_hunk(&self) -> bool {
        matches!(&self.section, Section::Update(update) if update.open.is_some())
    }

    fn begin(&mut self, number: usize, marker: Marker<'_>) -> Result<(), ParseError> {
        self.close(number)?;
        let resolve = |text: &str| {
            self.place.resolve(text).map_err(|source| ParseError::BadPath { line: number, source })
        };
        self.section = match marker {
            Marker::Add(path) => Section::Add { path: resolve(path)?, lines: Vec::new(), blank: 0 },
            Marker::Delete(path) => Section::Delete { path: resolve(path)? },
            Marker::Update(path) => Section::Update(Update {
                path: resolve(path)?,
                at_line: number,
                move_to: None,
                hunks: Vec::new(),
                open: None,
            }),
            _ => Section::None,
        };
        Ok(())
    }

    /// Ends what was begun, before line `number`.
    fn close(&mut self, number: usize) -> Result<(), ParseError> {
        let file = match std::mem::replace(&mut self.section, Section::None) {
            Section::None => return Ok(()),
            Section::Add { path, lines, .. } => FilePatch::Add { path, lines },
            Section::Delete { path } => FilePatch::Delete { path },
            Section::Update(mut update) => {
                update.close_hunk();
                let changes = update
                    .hunks
                    .iter()
                    .flat_map(|hunk| &hunk.lines)
                    .any(|line| !matches!(line, HunkLine::Keep(_)));
                if !changes && update.move_to.is_none() {
                    let line = update.at_line.min(number);
                    return Err(ParseError::NoChange { line });
                }
                let Update { path, move_to, hunks, .. } = update;
                FilePatch::Update { path, move_to, hunks }
            }
        };
        self.files.push(file);
        Ok(())
    }
}

impl Update {
    fn line(
        &mut self,
        number: usize,
        line: &str,
        next: Option<&str>,
        marker: Option<Marker<'_>>,
        place: Place<'_>,
    ) -> Result<(), ParseError> {
        let untouched = self.open.is_none() && self.hunks.is_empty();
        match marker {
            Some(Marker::MoveTo(to)) if untouched => {
                let to = place
                    .resolve(to)
                    .map_err(|source| ParseError::BadPath { line: number, source })?;
                self.move_to = Some(to);
                return Ok(());
            }
            Some(Marker::EndOfFile) if line.starts_with("***") || self.open.is_none() => {
                if let Some(hunk) = &mut self.open {
                    hunk.at_end = true;
                }
                self.close_hunk();
                return Ok(());
            }
            _ => {}
        }
        let at_margin = if self.open.is_none() { line.trim_start() } else { line };
        if let Some(text) = header(at_margin) {
            self.header(number, text);
            return Ok(());
        }
        if line.is_empty() || (self.open.is_none() && line.trim().is_empty()) {
            // Between hunks it is nothing; inside one it is a blank line that stays.
            if let Some(hunk) = &mut self.open {
                hunk.lines.push(HunkLine::Keep(String::new()));
            }
            return Ok(());
        }
        if is_no_newline_note(line) || (untouched && is_file_name_line(line, next)) {
            return Ok(());
        }
        let hunk_line = if let Some(text) = line.strip_prefix('+') {
            HunkLine::Add(text.to_owned())
        } else if let Some(text) = line.strip_prefix('-') {
            HunkLine::Remove(text.to_owned())
        } else if let Some(text) = line.strip_prefix(' ') {
            HunkLine::Keep(text.to_owned())
        } else if line.starts_with('\t') {
            // The model forgot the space before a line that is set in.
            HunkLine::Keep(line.to_owned())
        } else {
            return Err(unexpected(number, HUNK_LINE, line));
        };
        self.hunk(number).lines.push(hunk_line);
        Ok(())
    }

    /// A `@@` line: begins a hunk, or adds to the headers of one that has no lines yet.
    fn header(&mut self, number: usize, text: &str) {
        if self.open.as_ref().is_some_and(|hunk| !hunk.lines.is_empty()) {
            self.close_hunk();
        }
        let hunk = self.hunk(number);
        if !text.is_empty() {
            hunk.headers.push(text.to_owned());
        }
    }

    fn hunk(&mut self, number: usize) -> &mut Hunk {
        self.open.get_or_insert_with(|| Hunk { at_line: number, ..Hunk::default() })
    }

    /// Ends the open hunk; one without lines is dropped.
    fn close_hunk(&mut self) {
        if let Some(hunk) = self.open.take().filter(|hunk| !hunk.lines.is_empty()) {
            self.hunks.push(hunk);
        }
    }
}

/// `\ No newline at end of file`: the file itself says whether it has one.
fn is_no_newline_note(line: &str) -> bool {
    line.starts_with("\\ No newline")
}

/// `--- a/file` followed by `+++ b/file`, or the second of the two, as unified diffs begin.
fn is_file_name_line(line: &str, next: Option<&str>) -> bool {
    line.starts_with("+++ b/")
        || (line.starts_with("--- ") && next.is_some_and(|next| next.starts_with("+++ ")))
}

fn blank_or(line: &str, number: usize, expected: &'static str) -> Result<(), ParseError> {
    if line.trim().is_empty() { Ok(()) } else { Err(unexpected(number, expected, line)) }
}

fn unexpected(line: usize, expected: &'static str, found: &str) -> ParseError {
    ParseError::Unexpected { line, expected, found: shown(found) }
}
