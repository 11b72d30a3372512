//! Remembers which lines of text the model was shown or wrote itself.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// The lines that a model has seen, as hashes: 8 bytes and some for each, two million at most.
#[derive(Debug, Clone, Default)]
pub struct ShownText {
    lines: HashSet<u64>,
    hasher: RandomState,
    full: bool,
}

const MAX_LINES: usize = 2 << 20;
/// How far into a line what a tool put before it can reach, in bytes.
const MAX_PREFIX: usize = 512;

impl ShownText {
    /// Nothing was shown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text as it was shown to the model or written by it (a patch as text, not as a JSON
    /// string). What tools put before a line (`cat -n`, `grep -n`, `git blame`, a diff) is seen
    /// through.
    pub fn add(&mut self, text: &str) {
        for line in text.split(['\n', '\r']) {
            if line.trim().is_empty() {
                continue;
            }
            self.insert(line);
            for bare in [without_sign(line), without_number(line), without_place(line)]
                .into_iter()
                .flatten()
            {
                self.insert(bare);
                // `grep -n` on a diff, a numbered diff.
                if let Some(barer) = without_sign(bare) {
                    self.insert(barer);
                }
            }
            if let Some(bare) = without_name(line) {
                self.insert(bare);
            }
            if let Some(bare) = without_blame(line) {
                self.insert(bare);
            }
        }
    }

    /// Whether this line was seen; white space does not matter, and a blank line counts as seen.
    /// Says yes where the index is full: it must not accuse.
    pub fn has_line(&self, line: &str) -> bool {
        let seen = |line: &str| {
            let line = normal(line);
            line.is_empty() || self.lines.contains(&self.hasher.hash_one(line))
        };
        // A progress line that overwrites itself is shown in its last state.
        self.full || seen(line) || line.split('\r').filter(|part| !part.is_empty()).any(seen)
    }

    fn insert(&mut self, line: &str) {
        if self.lines.len() >= MAX_LINES {
            self.full = true;
            return;
        }
        let line = normal(line);
        if !line.is_empty() {
            self.lines.insert(self.hasher.hash_one(line));
        }
    }
}

/// A line without escape sequences, and with one space for each run of white space and controls.
fn normal(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut gap = false;
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_escape(&mut chars);
        } else if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
        } else {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// Passes over a terminal's escape sequence, its first character read already.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !matches!(c, '@'..='~')) {},
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// Without the first character of a line of a diff or a quotation.
fn without_sign(line: &str) -> Option<&str> {
    line.strip_prefix(['+', '-', '>', '<', '|'])
}

/// Without the number that `cat -n`, `nl`, `grep -n` or a viewer puts before a line.
fn without_number(line: &str) -> Option<&str> {
    let digits = line.trim_start();
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == digits.len() {
        return None;
    }
    rest.trim_start_matches(' ')
        .strip_prefix(['\t', ':', '|', '-', '│', '→', '+'])
        .or_else(|| rest.starts_with(' ').then_some(rest))
}

/// Without `path:12:` or `path-12-`.
fn without_place(line: &str) -> Option<&str> {
    let head = head(line);
    [':', '-'].into_iter().find_map(|sign| {
        head.match_indices(sign).find_map(|(at, _)| {
            let digits = &line[at + 1..];
            let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
            if rest.len() == digits.len() { None } else { rest.strip_prefix(sign) }
        })
    })
}

/// Without `path:`.
fn without_name(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(':')?;
    (!name.is_empty() && name.len() < MAX_PREFIX && !name.contains(char::is_whitespace))
        .then_some(rest)
}

/// Without what `git blame` puts before a line: `1a2b3c (Name 2024-01-01 10:00:00 +0000 12)`.
fn without_blame(line: &str) -> Option<&str> {
    let head = head(line);
    let open = head.find(" (")?;
    let close = open + line[open..].find(") ")?;
    let number = line[..close].rsplit(' ').next()?;
    (close < MAX_PREFIX && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        .then(|| &line[close + 2..])
}

fn head(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_PREFIX)]
}
