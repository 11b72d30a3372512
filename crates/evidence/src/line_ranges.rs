//! Reads the lines of a citation: `L10`, `L10-L20`, `10–20`, `lines 10 to 20`, `L1, L5-L8`.

use std::num::NonZeroU32;

use quire_domain::citation::LineRange;

/// What a text says about lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// `letter`: marked by an `L` or the word `line`.
    Lines { ranges: Vec<LineRange>, letter: bool },
    /// Lines, but none that can be: 0, or beyond four thousand million.
    Bad,
    /// It says nothing about lines.
    None,
}

/// Ranges in one citation.
const MAX_RANGES: usize = 32;

/// Reads all of `text` as lines.
pub(crate) fn line_ranges(text: &str) -> Ranges {
    if text.len() > 512 {
        return Ranges::None;
    }
    let text: String = text.chars().map(plain).collect();
    let mut rest = text.trim();
    let (mut ranges, mut first_letter) = (Vec::new(), false);
    loop {
        let Some((letter, first, after)) = line(rest) else { return Ranges::None };
        let mut last = first;
        rest = after.trim_start();
        if let Some(after) = range_sign(rest) {
            let Some((_, end, after)) = line(after.trim_start()) else { return Ranges::None };
            last = end;
            rest = after.trim_start();
        }
        let (Some(first), Some(last)) = (first, last) else { return Ranges::Bad };
        if ranges.is_empty() {
            first_letter = letter;
        }
        ranges.push(LineRange::new(first, last));
        if rest.is_empty() {
            return Ranges::Lines { ranges, letter: first_letter };
        }
        match rest.strip_prefix([',', ';', '&']) {
            Some(after) if ranges.len() < MAX_RANGES => rest = after.trim_start(),
            _ => return Ranges::None,
        }
    }
}

/// One line number: whether it was marked, the number if it can be one, and what follows.
fn line(text: &str) -> Option<(bool, Option<NonZeroU32>, &str)> {
    let word = ["lines", "line", "l"]
        .into_iter()
        .find(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    let digits = text[word.map_or(0, str::len)..].trim_start_matches([' ', '.', '#', '_']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let (number, mut rest) = digits.split_at(end);
    // A column, as in `L10C5`, says nothing to us.
    if let Some(column) = rest.strip_prefix(['C', 'c']) {
        let after = column.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() < column.len() {
            rest = after;
        }
    }
    Some((word.is_some(), number.parse().ok(), rest))
}

/// What follows a sign for "up to".
fn range_sign(text: &str) -> Option<&str> {
    ["-", "..", "to ", "~"].into_iter().find_map(|sign| text.strip_prefix(sign))
}

/// The ASCII shape of a character: full-width forms, dashes, ideographic commas and spaces.
fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' => '-',
        '～' | '〜' | '…' => '~',
        '、' => ',',
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(c) - 0xff01 + u32::from('!')).unwrap_or(c)
        }
        c if c.is_whitespace() => ' ',
        c => c,
    }
}
