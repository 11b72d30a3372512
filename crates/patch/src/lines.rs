//! A file as lines: each with the end it has, so that what stays keeps its bytes.

/// One line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its bytes without the end.
    pub text: &'a [u8],
    /// `\n`, `\r\n`, or nothing at the end of a file without a final newline.
    pub end: &'a [u8],
}

/// A file as lines.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    /// A byte order mark at its start, which belongs to no line.
    pub bom: &'a [u8],
    /// Its lines.
    pub all: Vec<Line<'a>>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl<'a> Lines<'a> {
    /// Splits bytes at `\n`; a `\r` before it belongs to the end.
    pub fn of(bytes: &'a [u8]) -> Self {
        let (bom, rest) =
            if bytes.starts_with(BOM) { bytes.split_at(BOM.len()) } else { (&bytes[..0], bytes) };
        let all = rest
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let text =
                    line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
                Line { text, end: &line[text.len()..] }
            })
            .collect();
        Self { bom, all }
    }

    /// The end that a new line before line `at` takes: that of its neighbours, else of the
    /// file's first line, else `\n`.
    pub fn end_at(&self, at: usize) -> &'a [u8] {
        let before = at.checked_sub(1).and_then(|before| self.all.get(before));
        [before, self.all.get(at), self.all.first()]
            .into_iter()
            .flatten()
            .map(|line| line.end)
            .find(|end| !end.is_empty())
            .unwrap_or(b"\n")
    }

    /// Whether the last line has an end. A file without lines counts as having one.
    pub fn final_newline(&self) -> bool {
        self.all.last().is_none_or(|line| !line.end.is_empty())
    }
}

/// Puts lines together again, in memory that is taken once.
pub(crate) fn join(bom: &[u8], lines: &mut [Line<'_>], final_newline: bool) -> Vec<u8> {
    let default = lines.iter().map(|line| line.end).find(|end| !end.is_empty()).unwrap_or(b"\n");
    if let Some((last, others)) = lines.split_last_mut() {
        for line in others {
            if line.end.is_empty() {
                line.end = default;
            }
        }
        if !final_newline {
            last.end = b"";
        } else if last.end.is_empty() {
            last.end = default;
        }
    }
    let size = lines.iter().map(|line| line.text.len() + line.end.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(bom.len() + size);
    bytes.extend_from_slice(bom);
    for line in lines {
        bytes.extend_from_slice(line.text);
        bytes.extend_from_slice(line.end);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_joins_to_the_same_bytes() {
        for text in ["", "a", "a\n", "a\r\nb", "\n\n", "\u{feff}a\r\n\r\n", "\u{feff}", "a\rb\r"] {
            let lines = Lines::of(text.as_bytes());
            let joined = join(lines.bom, &mut lines.all.clone(), lines.final_newline());
            assert_eq!(joined, text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn a_new_line_ends_like_its_neighbours() {
        let lines = Lines::of(b"a\r\nb\nc");
        assert_eq!(lines.end_at(0), b"\r\n");
        assert_eq!(lines.end_at(2), b"\n");
        assert_eq!(lines.end_at(3), b"\r\n");
        assert_eq!(Lines::of(b"").end_at(0), b"\n");
    }
}
