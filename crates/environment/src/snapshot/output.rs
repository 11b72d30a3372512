//! The end of what a script printed, for people who have to find out why it failed.

use std::collections::VecDeque;

/// Bytes that are remembered.
const REMEMBERED: usize = 16 << 10;

/// Lines that are shown.
const LINES: usize = 12;

/// The longest line that is shown whole, in characters.
const LONGEST: usize = 200;

/// The last bytes of an output, however long it is.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(REMEMBERED)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(REMEMBERED);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
    }

    /// The last lines, without what a terminal would act on.
    pub(super) fn lines(&self) -> Vec<String> {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }
}

/// A line as it stands after its last carriage return, without escapes.
fn plain(line: &str) -> String {
    let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A control sequence ends with a letter.
            for more in characters.by_ref() {
                if more.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !character.is_control() {
            text.push(character);
        }
        if text.chars().count() >= LONGEST {
            text.push('…');
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn the_last_lines_are_kept_of_however_much() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        tail.push(b"10 %\r90 %\rdone\n\x1b[31mred\x1b[0m \x07end");
        let lines = tail.lines();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[9..], ["line 99999", "done", "red end"]);
    }
}
