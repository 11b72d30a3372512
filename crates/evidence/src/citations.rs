//! Reads citations from an answer, in the stored form and in near forms that models write.

use std::ops::Range;

use quire_domain::citation::Citation;

use crate::near_forms::{Brackets, Meant, content};

/// An answer, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The answer with every citation in its stored form.
    pub text: String,
    /// What was found, in order; two thousand at most, what follows is left as it is.
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

/// Brackets looked into in one answer.
const MAX_TRIED: usize = 2_000;
/// The longest citation: a path of 4,096 bytes and its lines.
const MAX_BYTES: usize = 4_300;
/// Closing brackets tried for one opening bracket, as paths may hold brackets of their own.
const MAX_CLOSINGS: usize = 16;

/// Reads an answer whose paths are relative to the root of the repository.
pub fn read(answer: &str) -> Reading {
    read_under(answer, "")
}

/// Reads an answer; absolute paths below `root`, where the repository lies inside the sandbox,
/// are read as relative ones. Fenced code is left alone; inside inline code only the stored
/// form's brackets count.
pub fn read_under(answer: &str, root: &str) -> Reading {
    let mut reading = Reading { text: String::with_capacity(answer.len() + 64), found: Vec::new() };
    let mut fence: Option<&str> = None;
    let mut tries = MAX_TRIED;
    for line in answer.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                read_line(line, root, &mut tries, &mut reading);
                continue;
            }
            (Some(_), _) => {}
        }
        reading.text.push_str(line);
    }
    reading
}

fn read_line(line: &str, root: &str, tries: &mut usize, reading: &mut Reading) {
    let mut at = 0;
    let mut code_until = 0;
    while let Some(offset) = line[at..].find(['【', '〖', '〔', '［', '[', '`']) {
        let open = at + offset;
        reading.text.push_str(&line[at..open]);
        if line[open..].starts_with('`') {
            let run = backticks(&line[open..]);
            if open >= code_until {
                code_until = code_end(line, open + run, run).unwrap_or(code_until);
            }
            reading.text.push_str(&line[open..open + run]);
            at = open + run;
            continue;
        }
        let brackets =
            if line[open..].starts_with('[') { Brackets::Square } else { Brackets::Wide };
        let looked_into = match brackets {
            Brackets::Wide => true,
            Brackets::Square => open >= code_until && may_begin(&line[open + 1..]),
        };
        let found = if looked_into && *tries > 0 {
            *tries -= 1;
            bracketed(&line[open..], brackets, root)
        } else {
            None
        };
        let Some((length, meant)) = found else {
            let bracket = line[open..].chars().next().map_or(1, char::len_utf8);
            reading.text.push_str(&line[open..open + bracket]);
            at = open + bracket;
            continue;
        };
        at = open + length;
        push(reading, &line[open..at], meant);
    }
    reading.text.push_str(&line[at..]);
}

fn push(reading: &mut Reading, raw: &str, meant: Result<Vec<Citation>, Malformed>) {
    let start = reading.text.len();
    match meant {
        Ok(citations) => {
            for citation in citations {
                let start = reading.text.len();
                reading.text.push_str(&citation.to_string());
                reading.found.push(Found::Citation { citation, at: start..reading.text.len() });
            }
        }
        Err(why) => {
            reading.text.push_str(raw);
            let at = start..reading.text.len();
            let raw = raw.chars().take(200).collect();
            reading.found.push(Found::Malformed { raw, why, at });
        }
    }
}

/// What stands in the brackets that `text` begins with, and its length with them; `None` if it
/// is ordinary text.
fn bracketed(
    text: &str,
    brackets: Brackets,
    root: &str,
) -> Option<(usize, Result<Vec<Citation>, Malformed>)> {
    let start = text.chars().next()?.len_utf8();
    let mut malformed = None;
    let closings = text[start..]
        .char_indices()
        .take_while(|(offset, c)| *offset < MAX_BYTES && !matches!(c, '【' | '\n'))
        .filter(|(_, c)| matches!(c, '】' | '〗' | '〕' | '］' | ']'))
        .take(MAX_CLOSINGS);
    for (offset, closing) in closings {
        let length = start + offset + closing.len_utf8();
        let inner = &text[start..start + offset];
        if brackets == Brackets::Square
            && (!balanced(inner) || (text[length..].starts_with('(') && !inner.contains('†')))
        {
            continue;
        }
        match content(inner, brackets, root) {
            Meant::Citations(citations) => {
                // A path can be such that its stored form would be read as something else.
                let stable = |citation: &Citation| reads_back(citation, root);
                if citations.iter().all(stable) {
                    return Some((length, Ok(citations)));
                }
                malformed.get_or_insert((length, Err(Malformed::BadPath)));
            }
            Meant::Malformed(why) => {
                malformed.get_or_insert((length, Err(why)));
            }
            Meant::Nothing => {}
        }
    }
    malformed
}

/// Whether what follows an ordinary bracket can be a citation: `F:`, six hex digits, `chunk`.
fn may_begin(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| c.is_ascii_hexdigit() || matches!(c, 'F' | 'Ｆ' | 'C'))
}

/// Whether the stored form of a citation is read as that citation: no closing bracket before its
/// last makes another one of it.
fn reads_back(citation: &Citation, root: &str) -> bool {
    let stored = citation.to_string();
    let inner = stored.trim_start_matches('【');
    let first = inner
        .char_indices()
        .filter(|(_, c)| matches!(c, '】' | '〗' | '〕' | '］' | ']'))
        .take(MAX_CLOSINGS)
        .find_map(|(at, c)| match content(&inner[..at], Brackets::Wide, root) {
            Meant::Citations(read) => Some((at + c.len_utf8(), read)),
            Meant::Malformed(_) | Meant::Nothing => None,
        });
    first.is_some_and(|(end, read)| end == inner.len() && read == [citation.clone()])
        && !inner.contains(['【', '\n'])
}

/// Whether every bracket inside is opened before it is closed, and closed.
fn balanced(text: &str) -> bool {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' => depth += 1,
            b']' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => {}
        }
    }
    depth == 0
}

fn backticks(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// Where inline code that was opened by `run` backticks ends, behind its closing ones.
fn code_end(line: &str, from: usize, run: usize) -> Option<usize> {
    let mut at = from;
    while let Some(offset) = line[at..].find('`') {
        at += offset;
        let length = backticks(&line[at..]);
        if length == run {
            return Some(at + length);
        }
        at += length;
    }
    None
}
