//! What a command prints, as lines that are safe for a terminal: of a line that draws itself anew
//! its last state, and without colours and movements of the cursor.

use crate::show::style::plain;

/// A line that goes on beyond this is shown in pieces, in bytes.
const MOST: usize = 16 << 10;

/// The bytes of a line that has not ended.
pub struct LineBuffer {
    label: String,
    line: Vec<u8>,
}

impl LineBuffer {
    /// `label` stands before each line, if there is one.
    pub fn new(label: &str) -> Self {
        let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
        Self { label, line: Vec::new() }
    }

    /// Takes a piece; gives the lines that ended.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() > MOST {
                lines.push(self.take());
            }
        }
        lines
    }

    /// What is left of a last line without an end.
    pub fn rest(mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        format!("{}{}", self.label, shown(&line))
    }
}

/// One line as it would stand on a terminal at its end.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    let last = text.rsplit('\r').find(|part| !without_escapes(part).trim().is_empty());
    plain(&without_escapes(last.unwrap_or_default()), false)
}

/// Without escape sequences: `ESC [ … letter`, `ESC ] … BEL`, and `ESC` with one character.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\u{1b}' {
            out.push(next);
            continue;
        }
        match rest.next() {
            Some('[') => {
                let _ = rest.find(|c| ('\u{40}'..='\u{7e}').contains(c));
            }
            Some(']' | 'P' | '_' | '^') => {
                let mut before = ' ';
                let _ = rest.find(|c| {
                    let ends = *c == '\u{7}' || (before == '\u{1b}' && *c == '\\');
                    before = *c;
                    ends
                });
            }
            Some('(' | ')' | '#') => {
                let _ = rest.next();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LineBuffer, shown};

    #[test]
    fn a_line_is_shown_as_it_stands_at_its_end() {
        for (line, expected) in [
            ("plain\n", "plain"),
            ("10 %\r50 %\r100 %\r\n", "100 %"),
            ("a\r\x1b[K\r\n", "a"),
            ("\x1b[32mok\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\\n", "ok link"),
            ("\x1b[2J\x1b(Bx\x07", "x␇"),
            ("\n", ""),
        ] {
            assert_eq!(shown(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut buffer = LineBuffer::new("db");
        assert_eq!(buffer.push(b"on"), Vec::<String>::new());
        assert_eq!(buffer.push(b"e\ntwo\nthr"), ["db: one", "db: two"]);
        assert_eq!(buffer.rest().as_deref(), Some("db: thr"));
    }
}
