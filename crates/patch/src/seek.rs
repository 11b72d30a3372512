//! Finds lines in a file: exactly, then ever more forgivingly.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use unicode_normalization::{UnicodeNormalization, is_nfkc};

use crate::lines::Line;

/// How much two lines may differ and still count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Not at all.
    Exact,
    /// In white space at the end.
    TrimmedEnd,
    /// In white space around.
    Trimmed,
    /// Also in the shape of dashes, quotes and spaces, and in Unicode's compatibility forms.
    Folded,
}

pub(crate) const LEVELS: [Level; 4] =
    [Level::Exact, Level::TrimmedEnd, Level::Trimmed, Level::Folded];

/// What ordering one line counts for, beside its bytes.
const SORTED_LINE: usize = 16;

/// More work than is allowed was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuchWork;

/// What applying one patch may still cost, in bytes looked at: less than a second in all, so that
/// a file made of equal lines, or a patch that names a large file a thousand times, ends in a
/// refusal and not in a stall. One file of [`crate::MAX_FILE_BYTES`] fits, at every level.
#[derive(Debug)]
pub(crate) struct Work(u64);

impl Work {
    /// All of it.
    pub fn new() -> Self {
        Self(1 << 28)
    }

    /// Takes some of it.
    pub fn spend(&mut self, bytes: usize) -> Result<(), TooMuchWork> {
        self.0 = self.0.checked_sub(bytes as u64).ok_or(TooMuchWork)?;
        Ok(())
    }
}

/// The lines of a file, hashed at each level when that level is first needed.
pub(crate) struct Index<'a> {
    lines: &'a [Line<'a>],
    bytes: usize,
    levels: [Option<LevelIndex>; 4],
    hasher: RandomState,
}

/// Hashes of lines at one level, and the lines' numbers ordered by hash, then number.
struct LevelIndex {
    hashes: Vec<u64>,
    order: Vec<u32>,
}

impl LevelIndex {
    /// Numbers of the lines with this hash that lie in `first..=last`, in order.
    fn with_hash(&self, hash: u64, first: usize, last: usize) -> &[u32] {
        let key = |line: &u32| (self.hashes[*line as usize], *line as usize);
        let from = self.order.partition_point(|line| key(line) < (hash, first));
        let to = self.order.partition_point(|line| key(line) <= (hash, last));
        &self.order[from..to.max(from)]
    }
}

impl<'a> Index<'a> {
    /// Over the lines of a file of at most [`crate::MAX_FILE_BYTES`].
    pub fn new(lines: &'a [Line<'a>]) -> Self {
        Self {
            lines,
            bytes: lines.iter().map(|line| line.text.len() + 1).sum(),
            levels: [None, None, None, None],
            hasher: RandomState::new(),
        }
    }

    /// The lines it is over.
    pub fn lines(&self) -> &'a [Line<'a>] {
        self.lines
    }

    /// The first place at or after line `from` where `wanted` stands, the most exact level
    /// first. With `at_end` the file must end there.
    pub fn find(
        &mut self,
        wanted: &[&[u8]],
        from: usize,
        at_end: bool,
        work: &mut Work,
    ) -> Result<Option<usize>, TooMuchWork> {
        for level in LEVELS {
            if let Some(start) = self.find_at(level, wanted, from, at_end, work)? {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }

    /// The first place at one level.
    pub fn find_at(
        &mut self,
        level: Level,
        wanted: &[&[u8]],
        from: usize,
        at_end: bool,
        work: &mut Work,
    ) -> Result<Option<usize>, TooMuchWork> {
        let count = self.lines.len();
        if wanted.is_empty() || wanted.len() > count || from > count - wanted.len() {
            return Ok(None);
        }
        let last_start = count - wanted.len();
        let first_start = if at_end { last_start } else { from };
        work.spend(wanted.iter().map(|line| line.len() + 8).sum())?;
        let hashes: Vec<u64> = wanted.iter().map(|line| self.hash(level, line)).collect();
        let lines = self.lines;
        let index = self.level(level, work)?;
        // The line that is least often there decides which places are looked at.
        let mut rarest: Option<(usize, &[u32])> = None;
        for (offset, hash) in hashes.iter().enumerate() {
            let places = index.with_hash(*hash, first_start + offset, last_start + offset);
            if places.is_empty() {
                return Ok(None);
            }
            if rarest.is_none_or(|(_, fewest)| places.len() < fewest.len()) {
                rarest = Some((offset, places));
            }
        }
        let Some((offset, places)) = rarest else { return Ok(None) };
        for place in places {
            let start = *place as usize - offset;
            let equal = hashes
                .iter()
                .zip(&index.hashes[start..])
                .take_while(|(wanted, found)| wanted == found)
                .count();
            work.spend(8 * (equal + 1))?;
            // Equal hashes are looked at once more: a collision must not edit the wrong place.
            if equal == hashes.len()
                && wanted
                    .iter()
                    .zip(&lines[start..])
                    .all(|(wanted, found)| key(level, wanted) == key(level, found.text))
            {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }

    /// Numbers of the lines that equal `wanted` at a level.
    pub fn places(
        &mut self,
        level: Level,
        wanted: &[u8],
        work: &mut Work,
    ) -> Result<&[u32], TooMuchWork> {
        let hash = self.hash(level, wanted);
        Ok(self.level(level, work)?.with_hash(hash, 0, usize::MAX))
    }

    fn hash(&self, level: Level, line: &[u8]) -> u64 {
        self.hasher.hash_one(&*key(level, line))
    }

    fn level(&mut self, level: Level, work: &mut Work) -> Result<&LevelIndex, TooMuchWork> {
        let slot = level as usize;
        if self.levels[slot].is_none() {
            work.spend(self.bytes + SORTED_LINE * self.lines.len())?;
            let hashes: Vec<u64> =
                self.lines.iter().map(|line| self.hash(level, line.text)).collect();
            // A file of 32 MiB has fewer lines than a u32 counts.
            let mut order: Vec<u32> =
                (0..u32::try_from(hashes.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by_key(|line| hashes[*line as usize]);
            self.levels[slot] = Some(LevelIndex { hashes, order });
        }
        self.levels[slot].as_ref().ok_or(TooMuchWork)
    }
}

/// What two lines must share to count as the same at a level.
pub(crate) fn key(level: Level, line: &[u8]) -> Cow<'_, [u8]> {
    let text = match level {
        Level::Exact => return Cow::Borrowed(line),
        Level::TrimmedEnd => return Cow::Borrowed(trim_end(line)),
        Level::Trimmed => return Cow::Borrowed(trim_end(line).trim_ascii_start()),
        Level::Folded => line,
    };
    match std::str::from_utf8(text) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text.trim_ascii().as_bytes()),
        Ok(text) => Cow::Owned(fold(text).into_bytes()),
        Err(_) => Cow::Borrowed(text.trim_ascii()),
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Ok(text) => text.trim_end().as_bytes(),
        Err(_) => line.trim_ascii_end(),
    }
}

/// Compatibility forms made plain, punctuation in its ASCII shape, white space around gone.
fn fold(text: &str) -> String {
    let normal =
        if is_nfkc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfkc().collect()) };
    let folded: String = normal.chars().filter_map(plain).collect();
    let trimmed = folded.trim();
    if trimmed.len() == folded.len() { folded } else { trimmed.to_owned() }
}

/// The ASCII character that models write in place of this one; `None` for what cannot be seen.
fn plain(c: char) -> Option<char> {
    Some(match c {
        // Hyphens, dashes, the minus sign.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2043}' | '\u{fe58}' => '-',
        // Single quotes, primes, and accents that stand for them.
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{02b9}' | '\u{02bc}' | '\u{b4}' => {
            '\''
        }
        // Double quotes.
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{ab}' | '\u{bb}' => '"',
        // Spaces that compatibility normalisation leaves, and line separators.
        '\u{1680}' | '\u{2028}' | '\u{2029}' => ' ',
        // Zero width: spaces, joiners, direction marks, the byte order mark, soft hyphen.
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => return None,
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_forgives_more() {
        let same = |level, a: &str, b: &str| key(level, a.as_bytes()) == key(level, b.as_bytes());
        assert!(!same(Level::Exact, "a", "a "));
        assert!(same(Level::TrimmedEnd, "a", "a\t\r"));
        assert!(!same(Level::TrimmedEnd, "a", " a"));
        assert!(same(Level::Trimmed, "a", "\ta "));
        assert!(!same(Level::Trimmed, "a - b", "a – b"));
        assert!(same(Level::Folded, "a - 'b' \"c\" d", "  a – ‘b’ “c”\u{a0}d"));
        assert!(same(Level::Folded, "x = ﬁnd(…)", "x = find(...)"));
        assert!(same(Level::Folded, "ab", "a\u{200b}b"));
        assert!(!same(Level::Folded, "a b", "ab"));
    }

    #[test]
    fn lines_that_are_no_utf8_are_found_by_their_bytes() {
        let lines = crate::lines::Lines::of(b"\xff one \n\xfe\n").all;
        let mut index = Index::new(&lines);
        let mut work = Work::new();
        assert_eq!(index.find(&[b"\xff one"], 0, false, &mut work), Ok(Some(0)));
        assert_eq!(index.find(&[b"\xfd"], 0, false, &mut work), Ok(None));
    }
}
