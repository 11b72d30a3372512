//! Keeps the beginning and the end of an output while it grows, in bounded memory.

use std::collections::VecDeque;

use crate::control::readable;

/// A longer line is shown by its beginning and end.
const LINE_BYTES: usize = 2_000;
const LINE_HEAD: usize = 1_500;
const LINE_TAIL: usize = 300;

/// The output since the model last looked, by its first and last bytes.
pub struct Screen {
    /// How many bytes are shown, and kept of each end.
    limit: usize,
    /// The number of the first line, counted from 1 in the whole output.
    first_line: u64,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes that are in neither.
    dropped: u64,
    newlines: u64,
}

/// A part of an output as it is shown.
struct Line {
    number: u64,
    text: String,
}

impl Screen {
    /// A screen that shows at most about `limit` bytes, its first line being number `first_line`.
    pub fn new(limit: usize, first_line: u64) -> Self {
        Self { limit, first_line, head: Vec::new(), tail: VecDeque::new(), dropped: 0, newlines: 0 }
    }

    /// Takes a piece of output.
    pub fn push(&mut self, bytes: &[u8]) {
        self.newlines += count_newlines(bytes);
        let room = self.limit.saturating_sub(self.head.len());
        let (to_head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(to_head);
        let (lost, kept) = rest.split_at(rest.len().saturating_sub(self.limit));
        let overflow = (self.tail.len() + kept.len()).saturating_sub(self.limit);
        let gone = overflow.min(self.tail.len());
        self.tail.drain(..gone);
        self.tail.extend(kept);
        self.dropped += (lost.len() + gone) as u64;
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// A new screen that starts where this one ends.
    #[must_use]
    pub fn following(&self) -> Self {
        Self::new(self.limit, self.first_line + self.newlines)
    }

    /// The number of its first line.
    pub fn first_line(&self) -> u64 {
        self.first_line
    }

    /// The text, cut in the middle where it is too long; ends without a newline.
    pub fn text(&self) -> String {
        let (head, tail) = self.lines();
        let total: usize = head.iter().chain(&tail).map(|line| line.text.len() + 1).sum();
        let gap = self.dropped > 0;
        let all: Vec<&Line> = head.iter().chain(&tail).collect();
        if total <= self.limit && !gap {
            return joined(all.iter().map(|line| line.text.as_str()));
        }
        // Where bytes were dropped, the two ends must not grow into each other.
        let first_end = fitting(all.iter().take(head.len()), self.limit / 2);
        let last_count = fitting(all.iter().skip(first_end).rev(), self.limit / 2);
        let (first, last) = (&all[..first_end], &all[all.len() - last_count..]);
        let from = first.last().map_or(self.first_line, |line| line.number + 1);
        let to = last.first().map_or(self.first_line + self.newlines, |line| line.number - 1);
        let omitted = match to.checked_sub(from) {
            None => "… part of a line omitted …".to_owned(),
            Some(0) => format!("… line {} omitted …", grouped(from)),
            Some(_) => format!("… lines {}–{} omitted …", grouped(from), grouped(to)),
        };
        let shown = |lines: &'_ [&'_ Line]| joined(lines.iter().map(|line| line.text.as_str()));
        [shown(first), omitted, shown(last)].join("\n")
    }

    /// The lines of both ends. Without a gap all are in the first list.
    fn lines(&self) -> (Vec<Line>, Vec<Line>) {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.dropped == 0 {
            let whole = [self.head.as_slice(), &tail].concat();
            return (split(&whole, self.first_line, false, false), Vec::new());
        }
        let tail_first = self.first_line + self.newlines - count_newlines(&tail);
        let head = split(&self.head, self.first_line, false, true);
        let mut tail = split(&tail, tail_first, true, false);
        if tail.len() > 1 {
            // Its beginning was dropped.
            tail.remove(0);
        }
        (head, tail)
    }
}

/// Splits into readable lines. A last line that goes on elsewhere is left out unless it is the
/// only one.
fn split(bytes: &[u8], first: u64, cut_start: bool, cut_end: bool) -> Vec<Line> {
    let mut pieces: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if pieces.len() > 1 && (cut_end || pieces.last().is_some_and(|last| last.is_empty())) {
        pieces.pop();
    }
    if bytes.is_empty() {
        pieces.clear();
    }
    let only = pieces.len() == 1;
    let number = |at: usize| first + at as u64;
    let line = |(at, raw): (usize, &[u8])| {
        let mut text = shortened(raw);
        if only && cut_end {
            text.push_str(" …[line cut]");
        }
        if only && cut_start {
            text.insert_str(0, "[line cut]… ");
        }
        Line { number: number(at), text }
    };
    pieces.into_iter().enumerate().map(line).collect()
}

/// A line by its beginning and end, if it is very long.
fn shortened(raw: &[u8]) -> String {
    let text = readable(raw);
    if text.len() <= LINE_BYTES {
        return text;
    }
    let head = text.floor_char_boundary(LINE_HEAD);
    let tail = text.ceil_char_boundary(text.len() - LINE_TAIL);
    let omitted = grouped((tail - head) as u64);
    format!("{} …[{omitted} bytes of this line omitted]… {}", &text[..head], &text[tail..])
}

/// How many of the lines fit; at least one, so that something is shown.
fn fitting<'a>(lines: impl Iterator<Item = &'a &'a Line>, limit: usize) -> usize {
    let mut used = 0;
    let mut count = 0;
    for line in lines {
        used += line.text.len() + 1;
        if used > limit && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

#[expect(clippy::naive_bytecount, reason = "vectorised well enough without a dependency")]
fn count_newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A number with its thousands apart, as people read it.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(limit: usize, output: &str) -> String {
        let mut screen = Screen::new(limit, 1);
        for piece in output.as_bytes().chunks(7) {
            screen.push(piece);
        }
        screen.text()
    }

    #[test]
    fn short_output_is_shown_whole() {
        assert_eq!(shown(100, "one\ntwo\n"), "one\ntwo");
        assert_eq!(shown(100, "no newline"), "no newline");
        assert_eq!(shown(100, ""), "");
        assert_eq!(shown(100, "\n\nthird"), "\n\nthird");
    }

    #[test]
    fn the_middle_of_a_long_output_is_named_by_its_lines() {
        let output: String =
            (1..=3_000).fold(String::new(), |text, n| text + &format!("line {n}\n"));
        assert_eq!(
            shown(60, &output),
            "line 1\nline 2\nline 3\nline 4\n… lines 5–2,997 omitted …\nline 2998\nline 2999\nline 3000"
        );
    }

    #[test]
    fn the_lines_named_as_omitted_are_those_not_shown_whatever_the_lengths() {
        for limit in [64, 100, 333] {
            for count in [1_u64, 3, 9, 10, 30, 101] {
                let line =
                    |n: u64| format!("{n}:{}", "x".repeat(usize::try_from(n * 7 % 23).unwrap()));
                let output = (1..=count).map(line).collect::<Vec<_>>().join("\n") + "\n";
                let text = shown(limit, &output);
                let mut expected = 1;
                for line in text.lines() {
                    if let Some(rest) = line.strip_prefix("… line") {
                        let numbers = rest.trim_start_matches('s').trim().replace(',', "");
                        let range = numbers.split(' ').next().unwrap();
                        let (from, to) = range.split_once('–').unwrap_or((range, range));
                        assert_eq!(from.parse::<u64>().unwrap(), expected, "{text}");
                        expected = to.parse::<u64>().unwrap() + 1;
                    } else {
                        let number = line.split(':').next().unwrap();
                        assert_eq!(number.parse::<u64>().unwrap(), expected, "{text}");
                        expected += 1;
                    }
                }
                assert_eq!(expected, count + 1, "{text}");
            }
        }
    }

    #[test]
    fn one_endless_line_is_cut() {
        let text = shown(16_384, &"x".repeat(1_000_000));
        assert!(text.len() < 8_000, "{}", text.len());
        assert!(text.contains("line cut"), "{text}");
        let text = shown(16_384, &"y".repeat(10_000));
        assert!(text.contains("…[8,200 bytes of this line omitted]…"), "{text}");
    }

    #[test]
    fn the_next_screen_goes_on_with_the_line_that_was_not_ended() {
        let mut screen = Screen::new(100, 1);
        screen.push(b"one\ntwo\nthr");
        let mut next = screen.following();
        assert!(next.is_empty());
        next.push(b"ee\n");
        assert_eq!((next.first_line, next.text().as_str()), (3, "ee"));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut screen = Screen::new(1_000, 1);
        for _ in 0..1_000 {
            screen.push(&vec![b'a'; 65_536]);
        }
        assert!(screen.head.len() + screen.tail.len() <= 2_000);
    }
}
