//! No file grows over 500 lines.

use super::Finding;
use super::sources::Source;

/// At 500 lines a file has a second job; look for it.
const MOST_LINES: usize = 500;

/// A finding if the file is too long.
pub fn finding(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES {
        return None;
    }
    Some(Finding::at(&*source.path, format!("{lines} lines: find the second job")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let of = |path: &str, lines: usize| {
            finding(&Source { path: path.into(), text: "//! A.\n".repeat(lines) })
        };
        assert_eq!(of("crates/git/src/lib.rs", 500), None);
        assert!(of("crates/git/src/lib.rs", 501).is_some());
    }
}
