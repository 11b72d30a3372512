//! Sentences laid out in lines, so that words stay whole on narrow terminals.

/// Lays `text` out in lines of at most `width` columns, all but the first one indented; its own
/// lines stay lines. A word that is longer stands alone.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let own = line.len() - line.trim_start().len();
        let begin = if number > 0 { indent + own } else { own };
        out.extend(std::iter::repeat_n(' ', begin));
        let hanging = indent + own;
        // What stands before the first line is the caller's.
        let mut column = if number > 0 { begin } else { hanging };
        let mut first = true;
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if !first && column + 1 + length > width {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', hanging));
                column = hanging;
            } else if !first {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
            first = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_stay_whole_and_lines_stay_lines() {
        assert_eq!(wrap("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrap("a\n  b c\nd", 80, 2), "a\n    b c\n  d");
        assert_eq!(wrap("averyverylongword x", 8, 0), "averyverylongword\nx");
        assert_eq!(wrap("", 8, 0), "");
    }
}
