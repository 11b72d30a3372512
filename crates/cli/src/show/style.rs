//! Colour and the few signs we use. Everything reads the same without colour.

/// Whether and how to paint.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Paints if `colour`.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be overlooked.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What a reader should know.
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Names of things: files, ids.
    pub fn name(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// A duration as people say it: `8 ms`, `2.4 s`, `3 m 05 s`, `2 h 03 m`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} m {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// How long ago something was, as people say it: `just now`, `5 min ago`, `3 h ago`, `12 d ago`.
pub fn since(ms: u64) -> String {
    match ms / 60_000 {
        0 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..2_880 => format!("{} h ago", minutes / 60),
        minutes => format!("{} d ago", minutes / 1_440),
    }
}

/// A number with thousands apart: `3,330`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size: `512 B`, `16 kB`, `1.2 GB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scale = 1u64;
    let mut unit = 0;
    while bytes / scale >= 1_000 && unit + 1 < UNITS.len() {
        scale *= 1_000;
        unit += 1;
    }
    let whole = bytes / scale;
    if unit == 0 || whole >= 10 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{} {}", bytes % scale * 10 / scale, UNITS[unit])
    }
}

/// Text from elsewhere made safe for a terminal: control characters and bidirectional marks
/// become visible signs, a tab stays. Newlines stay where `lines`.
pub fn plain(text: &str, lines: bool) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => c,
            '\n' if lines => c,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => {
                '\u{fffd}'
            }
            c if c.is_control() => match u32::from(c) {
                code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
                0x7f => '\u{2421}',
                _ => '\u{fffd}',
            },
            c => c,
        })
        .collect()
}

/// One line of at most `width` characters, its end cut with `…`.
pub fn fit(text: &str, width: usize) -> String {
    let one_line = plain(text.trim(), true).replace('\n', " ⏎ ");
    if one_line.chars().count() <= width {
        one_line
    } else {
        let mut cut: String = one_line.chars().take(width.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }
}

/// Text from elsewhere as lines of at most `width` characters, broken at spaces where there are
/// any; what would be beyond `most` lines is cut with `…`.
pub fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    for line in plain(text.trim_end(), true).lines() {
        let mut rest: Vec<char> = line.trim_end().chars().collect();
        while rest.len() > width {
            let space = rest[..=width].iter().rposition(|c| *c == ' ').filter(|at| *at > width / 2);
            let next = rest.split_off(space.unwrap_or(width));
            lines.push(rest.into_iter().collect());
            rest = next.into_iter().skip_while(|c| *c == ' ').collect();
        }
        lines.push(rest.into_iter().collect::<String>());
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = fit(&format!("{last} …"), width);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_at_spaces_and_never_beyond_what_is_asked_for() {
        let text = "one two three four\nfive\n  indented-and-longer-than-the-line";
        assert_eq!(
            wrap(text, 12, 9),
            ["one two", "three four", "five", "  indented-a", "nd-longer-th", "an-the-line"]
        );
        assert_eq!(wrap(text, 12, 2), ["one two", "three four …"]);
        assert_eq!(wrap("", 12, 2), Vec::<String>::new());
    }

    #[test]
    fn durations_counts_and_sizes_read_well() {
        assert_eq!(
            [8, 2_430, 185_000, 7_380_000].map(duration),
            ["8 ms", "2.4 s", "3 m 05 s", "2 h 03 m"]
        );
        assert_eq!(
            [59_999, 60_000, 7_199_999, 172_799_999, 172_800_000].map(since),
            ["just now", "1 min ago", "1 h ago", "47 h ago", "2 d ago"]
        );
        assert_eq!([0, 999, 3_330, 1_234_567].map(count), ["0", "999", "3,330", "1,234,567"]);
        assert_eq!(
            [0, 999, 1_000, 16_384, 1_250_000_000].map(size),
            ["0 B", "999 B", "1.0 kB", "16 kB", "1.2 GB"]
        );
    }

    #[test]
    fn nothing_from_elsewhere_drives_the_terminal() {
        assert_eq!(
            plain("a\x1b]52;c;x\x07\tb\u{9b}\u{202e}", false),
            "a␛]52;c;x␇\tb\u{fffd}\u{fffd}"
        );
        assert_eq!(fit("one\ntwo", 20), "one ⏎ two");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}
