//! Looks for the lines of a file that come nearest to what was expected.

use std::collections::HashMap;

use crate::fault::{Nearest, SHOWN_LINES, shown};
use crate::lines::Line;
use crate::seek::{Index, Level, Work, key};

/// Votes counted at most: a rejected patch must not cost more than an applied one.
const MAX_VOTES: usize = 1 << 18;
/// Bytes of the file compared at most, where no whole line is the same.
const MAX_COMPARED: usize = 8 << 20;

/// The lines nearest to `wanted`: where most of them stand in the right distance from one
/// another, else where one line is the most alike. `None` where nothing is like it.
pub(crate) fn nearest(index: &mut Index<'_>, wanted: &[&[u8]], work: &mut Work) -> Option<Nearest> {
    let start = by_votes(index, wanted, work).or_else(|| by_likeness(index.lines(), wanted))?;
    let lines = index.lines().get(start..)?;
    Some(Nearest {
        first: start + 1,
        lines: lines
            .iter()
            .take(wanted.len().clamp(1, SHOWN_LINES))
            .map(|line| shown(&String::from_utf8_lossy(line.text)))
            .collect(),
    })
}

/// Each line that is there votes for the place where the whole would begin.
fn by_votes(index: &mut Index<'_>, wanted: &[&[u8]], work: &mut Work) -> Option<usize> {
    let mut votes: HashMap<usize, usize> = HashMap::new();
    let mut counted = 0;
    for (offset, line) in wanted.iter().enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let places = index.places(Level::Folded, line, work).ok()?;
        // A line that is everywhere says nothing about where.
        for place in places.iter().take(1000) {
            if counted == MAX_VOTES {
                break;
            }
            counted += 1;
            *votes.entry((*place as usize).saturating_sub(offset)).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(start, votes)| (*votes, usize::MAX - start)).map(|(at, _)| at)
}

/// The line most like the longest one that is wanted, if at least half of it is the same.
fn by_likeness(lines: &[Line<'_>], wanted: &[&[u8]]) -> Option<usize> {
    let (offset, longest) = wanted.iter().enumerate().max_by_key(|(_, line)| line.len())?;
    let longest = key(Level::Folded, longest);
    if longest.is_empty() {
        return None;
    }
    let mut compared = 0;
    let mut best: Option<(usize, usize)> = None;
    for (at, line) in lines.iter().enumerate() {
        compared += line.text.len() + 1;
        if compared > MAX_COMPARED {
            break;
        }
        let line = key(Level::Trimmed, line.text);
        let same = alike(&line, &longest);
        if 2 * same >= longest.len().max(line.len()) && best.is_none_or(|(_, most)| same > most) {
            best = Some((at, same));
        }
    }
    best.map(|(at, _)| at.saturating_sub(offset))
}

/// Bytes that two lines share at their start and at their end.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    start + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}
