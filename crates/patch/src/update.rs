//! Applies the hunks of one file to its bytes.

use crate::fault::FaultKind;
use crate::lines::{Line, Lines, join};
use crate::nearest::nearest;
use crate::patch::{Hunk, HunkLine};
use crate::seek::{Index, LEVELS, Level, TooMuchWork, Work};

/// A file after its hunks.
pub(crate) struct Updated {
    pub bytes: Vec<u8>,
    pub added: usize,
    pub removed: usize,
}

impl From<TooMuchWork> for FaultKind {
    fn from(_: TooMuchWork) -> Self {
        Self::TooMuchWork
    }
}

/// How far the hunks before have come, in lines of the file.
#[derive(Clone, Copy, Default)]
struct Done {
    /// After the last line that was changed: nothing before it is touched again.
    changed: usize,
    /// After the last line that was named: where the next hunk is looked for first. The lines
    /// between the two may be named once more, as models repeat context.
    named: usize,
}

/// Applies hunks from the top of the file down. Lines that stay keep their bytes, also where
/// they were found forgivingly.
pub(crate) fn update(bytes: &[u8], hunks: &[Hunk], work: &mut Work) -> Result<Updated, FaultKind> {
    let file = Lines::of(bytes);
    work.spend(bytes.len())?;
    let mut index = Index::new(&file.all);
    let mut out: Vec<Line<'_>> = Vec::with_capacity(file.all.len());
    let mut done = Done::default();
    let (mut added, mut removed) = (0, 0);
    for (number, hunk) in hunks.iter().enumerate() {
        let found = locate(&mut index, hunk, number + 1, done, work)?;
        out.extend_from_slice(&file.all[done.changed..found.start]);
        let mut at = found.start;
        // Lines that stay are held back until a change follows, so that the next hunk may name
        // them too.
        let mut held = at;
        for line in &hunk.lines[..found.lines] {
            match line {
                HunkLine::Keep(_) => at += 1,
                HunkLine::Remove(_) => {
                    out.extend_from_slice(&file.all[held..at]);
                    at += 1;
                    held = at;
                    removed += 1;
                }
                HunkLine::Add(text) => {
                    out.extend_from_slice(&file.all[held..at]);
                    held = at;
                    let end = file.end_at(at);
                    let text = text.as_bytes();
                    let bare = if end == b"\r\n" { text.strip_suffix(b"\r") } else { None };
                    out.push(Line { text: bare.unwrap_or(text), end });
                    added += 1;
                }
            }
        }
        done = Done { changed: held, named: at };
    }
    out.extend_from_slice(&file.all[done.changed..]);
    let bytes = join(file.bom, &mut out, file.final_newline());
    Ok(Updated { bytes, added, removed })
}

/// Where a hunk applies, and how many of its lines do (blank ones at its end may fall away).
struct Found {
    start: usize,
    lines: usize,
}

fn locate(
    index: &mut Index<'_>,
    hunk: &Hunk,
    number: usize,
    done: Done,
    work: &mut Work,
) -> Result<Found, FaultKind> {
    let wanted: Vec<&[u8]> = hunk.expected().map(str::as_bytes).collect();
    let below = below_headers(index, &hunk.headers, done.named, work)?;
    if wanted.is_empty() {
        return match below {
            // Mere additions go below the line they name, or to the end of the file.
            Ok(from) if !hunk.headers.is_empty() && !hunk.at_end => {
                Ok(Found { start: from, lines: hunk.lines.len() })
            }
            Err(header) if !hunk.at_end => Err(no_header(index, hunk, number, header, work)),
            _ => Ok(Found { start: index.lines().len(), lines: hunk.lines.len() }),
        };
    }
    // A blank line before the next marker belongs to the text around the hunk more often than to
    // the hunk.
    let blank = hunk
        .lines
        .iter()
        .rev()
        .take_while(|line| matches!(line, HunkLine::Keep(text) if text.trim().is_empty()))
        .count();
    let shorter = wanted.len() - blank;
    for (keep, lines) in [(wanted.len(), hunk.lines.len()), (shorter, hunk.lines.len() - blank)] {
        let wanted = &wanted[..keep];
        if let Ok(from) = below {
            if hunk.at_end
                && let Some(start) = index.find(wanted, from, true, work)?
            {
                return Ok(Found { start, lines });
            }
            if let Some(start) = index.find(wanted, from, false, work)? {
                return Ok(Found { start, lines });
            }
            if hunk.headers.is_empty()
                && let Some(start) = index.find(wanted, done.changed, false, work)?
            {
                return Ok(Found { start, lines });
            }
        }
        if !hunk.headers.is_empty()
            && let Some(start) = only_place(index, wanted, done.changed, work)?
        {
            return Ok(Found { start, lines });
        }
        if blank == 0 || shorter == 0 {
            break;
        }
    }
    let from = match below {
        Ok(from) => from,
        Err(header) => return Err(no_header(index, hunk, number, header, work)),
    };
    Err(FaultKind::NoMatch {
        hunk: number,
        at_line: hunk.at_line,
        after: from,
        expected: hunk.expected().map(str::to_owned).collect(),
        above: index.find(&wanted, 0, false, work)?.map(|start| start + 1),
        nearest: nearest(index, &wanted, work),
    })
}

/// The only place where lines stand exactly: then a wrong header does no harm.
fn only_place(
    index: &mut Index<'_>,
    wanted: &[&[u8]],
    from: usize,
    work: &mut Work,
) -> Result<Option<usize>, TooMuchWork> {
    let Some(start) = index.find_at(Level::Exact, wanted, from, false, work)? else {
        return Ok(None);
    };
    let again = index.find_at(Level::Exact, wanted, start + 1, false, work)?;
    Ok(if again.is_none() { Some(start) } else { None })
}

/// The line below the last header, each looked for below the one before; or the header that is
/// not there. A header that stands only above `from` names the part of the file we are in.
fn below_headers<'h>(
    index: &mut Index<'_>,
    headers: &'h [String],
    from: usize,
    work: &mut Work,
) -> Result<Result<usize, &'h str>, TooMuchWork> {
    let mut below = from;
    for header in headers {
        let bare = header.trim_end().strip_suffix("@@").unwrap_or(header).trim_end();
        match find_header(index, header, bare, below, work)? {
            Some(line) => below = line,
            None => return Ok(Err(header)),
        }
    }
    Ok(Ok(below))
}

fn find_header(
    index: &mut Index<'_>,
    header: &str,
    bare: &str,
    from: usize,
    work: &mut Work,
) -> Result<Option<usize>, TooMuchWork> {
    for level in LEVELS {
        for text in [header, bare] {
            let wanted = [text.as_bytes()];
            if let Some(line) = index.find_at(level, &wanted, from, false, work)? {
                return Ok(Some(line + 1));
            }
        }
    }
    if index.find(&[header.as_bytes()], 0, false, work)?.is_some() {
        return Ok(Some(from));
    }
    // Models cut a long line short: `@@ def login` for `def login(user, password):`.
    let part = bare.trim();
    if part.is_empty() {
        return Ok(Some(from));
    }
    work.spend(index.lines().iter().map(|line| line.text.len()).sum())?;
    let has = |line: &Line<'_>| {
        line.text.len() >= part.len() && String::from_utf8_lossy(line.text).contains(part)
    };
    if let Some(offset) = index.lines()[from..].iter().position(has) {
        return Ok(Some(from + offset + 1));
    }
    Ok(if index.lines()[..from].iter().any(has) { Some(from) } else { None })
}

fn no_header(
    index: &mut Index<'_>,
    hunk: &Hunk,
    number: usize,
    header: &str,
    work: &mut Work,
) -> FaultKind {
    FaultKind::NoHeader {
        hunk: number,
        at_line: hunk.at_line,
        header: header.to_owned(),
        nearest: nearest(index, &[header.as_bytes()], work),
    }
}
