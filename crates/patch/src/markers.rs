//! Knows the `***` lines of the format, white space and case forgiven.

/// A `***` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker<'a> {
    Begin,
    End,
    Add(&'a str),
    Delete(&'a str),
    Update(&'a str),
    MoveTo(&'a str),
    EndOfFile,
}

impl<'a> Marker<'a> {
    /// Reads a line, white space around it ignored.
    pub fn of(line: &'a str) -> Option<Self> {
        let words = line.trim().strip_prefix("***")?.trim_start();
        let argument = |name: &str| {
            let (start, rest) = words.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name).then(|| rest.trim())
        };
        let alone =
            |name: &str| argument(name).is_some_and(|rest| rest.is_empty() || rest == "***");
        if let Some(path) = argument("Add File:") {
            Some(Self::Add(path))
        } else if let Some(path) = argument("Delete File:") {
            Some(Self::Delete(path))
        } else if let Some(path) = argument("Update File:") {
            Some(Self::Update(path))
        } else if let Some(path) = argument("Move to:") {
            Some(Self::MoveTo(path))
        } else if alone("Begin Patch") {
            Some(Self::Begin)
        } else if alone("End Patch") {
            Some(Self::End)
        } else if alone("End of File") {
            Some(Self::EndOfFile)
        } else {
            None
        }
    }

    /// Whether it begins what is to be done to a file.
    pub fn names_file(self) -> bool {
        matches!(self, Self::Add(_) | Self::Delete(_) | Self::Update(_))
    }
}

/// What stands behind `@@`: `None` if the line does not begin so. A unified diff's place
/// (`@@ -1,3 +1,4 @@ …`) says nothing, as models count lines badly.
pub(crate) fn header(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("@@")?;
    let text = rest.strip_prefix(' ').unwrap_or(rest).trim_end();
    if is_unified(text) || text.trim_matches('@').trim().is_empty() { Some("") } else { Some(text) }
}

/// Whether this is `-1,3 +1,4 @@…`.
fn is_unified(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let counts = |word: Option<&str>, sign: char| {
        word.and_then(|word| word.strip_prefix(sign)).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit())
                && rest.bytes().all(|b| b.is_ascii_digit() || b == b',')
        })
    };
    counts(words.next(), '-')
        && counts(words.next(), '+')
        && words.next().is_none_or(|word| word.starts_with("@@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read_with_white_space_around_them_in_any_case() {
        assert_eq!(Marker::of("*** Begin Patch"), Some(Marker::Begin));
        assert_eq!(Marker::of("  *** begin patch \r"), Some(Marker::Begin));
        assert_eq!(Marker::of("***Update File:a b.rs "), Some(Marker::Update("a b.rs")));
        assert_eq!(Marker::of("*** Move To: x"), Some(Marker::MoveTo("x")));
        assert_eq!(Marker::of("*** End Patch ***"), Some(Marker::End));
        assert_eq!(Marker::of("*** End Patchwork"), None);
        assert_eq!(Marker::of("+*** End Patch"), None);
        assert_eq!(Marker::of("*** é"), None);
    }

    #[test]
    fn a_header_keeps_its_words_and_forgets_line_numbers() {
        assert_eq!(header("@@"), Some(""));
        assert_eq!(header("@@ @@"), Some(""));
        assert_eq!(header("@@ def f():"), Some("def f():"));
        assert_eq!(header("@@     def f():"), Some("    def f():"));
        assert_eq!(header("@@ -1,3 +1,4 @@ def f():"), Some(""));
        assert_eq!(header("@@ -1 +1 @@"), Some(""));
        assert_eq!(header("@@ -x +y"), Some("-x +y"));
        assert_eq!(header(" @@"), None);
    }
}
