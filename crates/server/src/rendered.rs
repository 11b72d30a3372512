//! A line of output as a terminal would show it: control sequences obeyed where that is easy, and
//! left out where it is not.

/// The longest line that is shown; what is above is cut.
const MOST_CHARS: usize = 16 * 1024;

/// A line without control characters: what `\r` and `\b` overwrote is gone.
pub(crate) fn rendered(line: &str) -> String {
    let mut cells: Vec<char> = Vec::with_capacity(line.len().min(MOST_CHARS));
    let mut at: usize = 0;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => at = 0,
            '\u{8}' => at = at.saturating_sub(1),
            '\t' => put(&mut cells, &mut at, '\t'),
            '\u{1b}' => match chars.next() {
                // A control sequence ends with a byte of this range.
                Some('[') => {
                    let end = chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
                    if end == Some('K') {
                        cells.truncate(at);
                    }
                }
                // A command of the system ends with a bell or with the terminator.
                Some(']' | 'P' | '_' | '^' | 'X') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                Some('(' | ')') => {
                    chars.next();
                }
                _ => {}
            },
            c if c.is_control() => {}
            c => put(&mut cells, &mut at, c),
        }
    }
    cells.into_iter().collect()
}

fn put(cells: &mut Vec<char>, at: &mut usize, c: char) {
    if *at < cells.len() {
        cells[*at] = c;
    } else if cells.len() < MOST_CHARS {
        cells.push(c);
    } else {
        return;
    }
    *at += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_like_on_a_terminal() {
        for (line, shown) in [
            ("\u{1b}[1;32mok\u{1b}[0m done", "ok done"),
            ("10 %\r100 %", "100 %"),
            ("long words\rab\u{1b}[K", "ab"),
            ("a\u{8}b", "b"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;file\u{1b}\\link", "link"),
            ("tab\there\u{0}", "tab\there"),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(rendered(line), shown, "{line:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        assert_eq!(rendered(&"x".repeat(100_000)).len(), MOST_CHARS);
    }
}
