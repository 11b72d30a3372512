//! Reads what stands between a citation's brackets, as models write it.

use quire_domain::citation::{Citation, CitationTarget, LineRange};
use quire_domain::ids::ChunkId;
use quire_domain::path::WorkspacePath;

use crate::citations::Malformed;
use crate::line_ranges::{Ranges, line_ranges};

/// Which brackets stand around it: ordinary ones hold ordinary text far more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brackets {
    /// `【…】` and its like.
    Wide,
    /// `[…]`.
    Square,
}

/// What was meant.
#[derive(Debug)]
pub(crate) enum Meant {
    Citations(Vec<Citation>),
    Malformed(Malformed),
    /// No citation.
    Nothing,
}

const DAGGERS: [char; 2] = ['†', '‡'];

/// Reads what stands between brackets.
pub(crate) fn content(text: &str, brackets: Brackets, root: &str) -> Meant {
    let text = trim(text);
    // `F:a†L1; F:b†L2`: several in one pair of brackets.
    let pieces = pieces(text);
    if pieces.len() > 1 {
        let mut all = Vec::new();
        for piece in &pieces {
            match single(trim(piece), brackets, root) {
                Meant::Citations(citations) => all.extend(citations),
                Meant::Malformed(_) | Meant::Nothing => return single(text, brackets, root),
            }
        }
        return Meant::Citations(all);
    }
    single(text, brackets, root)
}

/// Splits at `;`, and at `,` before a further `F:`, where each piece has a dagger.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let after = at + c.len_utf8();
        let splits = match c {
            ';' | '；' => true,
            ',' | '，' | '、' => file_name(trim(&text[after..])).is_some(),
            _ => false,
        };
        if splits && text[start..at].contains(DAGGERS) && text[after..].contains(DAGGERS) {
            pieces.push(&text[start..at]);
            start = after;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn single(text: &str, brackets: Brackets, root: &str) -> Meant {
    let (named, rest) = match file_name(text) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dagger = rest.contains(DAGGERS);
    let (target, ranges, told_lines) = match split(rest) {
        Split::Lines { target, ranges, letter } => (target, ranges, dagger || letter),
        Split::BadLine => {
            return if named || (dagger && brackets == Brackets::Wide) {
                Meant::Malformed(Malformed::BadLine)
            } else {
                Meant::Nothing
            };
        }
        Split::NoLine => {
            return match (named, dagger, brackets) {
                (true, true, _) | (true, false, Brackets::Wide) => {
                    Meant::Malformed(Malformed::NoLine)
                }
                (false, true, Brackets::Wide) => {
                    let head = rest.split(DAGGERS).next().unwrap_or_default();
                    Meant::Malformed(match chunk(trim(head)) {
                        Some(_) => Malformed::NoLine,
                        None => Malformed::NoTarget,
                    })
                }
                _ => Meant::Nothing,
            };
        }
    };
    let target = trim(target);
    let cite = |target: CitationTarget| {
        let each = |lines: &LineRange| Citation { target: target.clone(), lines: *lines };
        Meant::Citations(ranges.iter().map(each).collect())
    };
    if named {
        return match path(target, root) {
            Some(path) => cite(CitationTarget::File(path)),
            None => Meant::Malformed(Malformed::BadPath),
        };
    }
    // `[100000:200000]` is a slice and no citation.
    if let Some(chunk) = chunk(target) {
        let told = told_lines || brackets == Brackets::Wide;
        return if told { cite(CitationTarget::Chunk(chunk)) } else { Meant::Nothing };
    }
    if brackets == Brackets::Square || !dagger {
        return Meant::Nothing;
    }
    match path(target, root) {
        Some(path) if target.contains(['/', '.']) => cite(CitationTarget::File(path)),
        _ => Meant::Malformed(Malformed::NoTarget),
    }
}

/// What follows `F:`.
fn file_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['F', 'f', 'Ｆ'])?;
    rest.strip_prefix([':', '：']).or_else(|| trim(rest).strip_prefix([':', '：'])).map(trim)
}

fn path(text: &str, root: &str) -> Option<WorkspacePath> {
    let text = match text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
        Some(bare) => bare,
        None => text,
    };
    let root = root.trim_end_matches('/');
    let relative = text
        .strip_prefix(root)
        .filter(|_| !root.is_empty())
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(text);
    WorkspacePath::parse(relative).ok()
}

/// Six hex digits in either case, maybe after the word `chunk`.
fn chunk(text: &str) -> Option<ChunkId> {
    let bare = text
        .get(..5)
        .filter(|word| word.eq_ignore_ascii_case("chunk"))
        .map_or(text, |_| text[5..].trim_start_matches([':', ' ', '_', '#']));
    ChunkId::parse(&bare.to_ascii_lowercase()).ok()
}

enum Split<'a> {
    /// `letter`: the lines were marked by an `L` or the word `line`.
    Lines {
        target: &'a str,
        ranges: Vec<LineRange>,
        letter: bool,
    },
    BadLine,
    NoLine,
}

/// Splits off the lines at the end: behind the last dagger, else behind the first separator from
/// which on all reads as lines.
fn split(text: &str) -> Split<'_> {
    let mut bad = false;
    if let Some(at) = text.rfind(DAGGERS) {
        let after = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        match line_ranges(trim(&text[after..])) {
            Ranges::Lines { ranges, letter } => {
                return Split::Lines { target: &text[..at], ranges, letter };
            }
            Ranges::Bad => return Split::BadLine,
            Ranges::None => return Split::NoLine,
        }
    }
    // Lines are written in few characters; the separator before them is not far from the end.
    let from = text.char_indices().rev().nth(80).map_or(0, |(at, _)| at);
    for (offset, c) in text[from..].char_indices() {
        let marks_lines = matches!(c, '#' | ':' | '：' | '＃');
        if !marks_lines && !matches!(c, ' ' | ',' | '，' | '|' | '(' | '\u{3000}' | '\u{a0}') {
            continue;
        }
        let at = from + offset;
        let tail = trim(&text[at + c.len_utf8()..]);
        let tail = if c == '(' { tail.strip_suffix(')').unwrap_or(tail) } else { tail };
        match line_ranges(tail) {
            Ranges::Lines { ranges, letter } if letter || marks_lines => {
                let target = text[..at].trim_end_matches([':', '#', ',', ' ']);
                return Split::Lines { target, ranges, letter };
            }
            Ranges::Bad if marks_lines => bad = true,
            _ => {}
        }
    }
    if bad { Split::BadLine } else { Split::NoLine }
}

/// Without white space and invisible characters around.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    })
}
