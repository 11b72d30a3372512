//! No file grows over 500 lines, but for uniform tables, which are listed here.

use super::Finding;
use super::sources::Source;

/// At 500 lines a file has a second job; look for it.
const MOST_LINES: usize = 500;

/// Files that may be longer, as they are one table.
const TABLES: &[&str] = &[
    // One small struct for each kind of event.
    "crates/domain/src/event.rs",
];

/// A finding if the file is too long.
pub fn finding(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES || TABLES.contains(&source.path.as_str()) {
        return None;
    }
    Some(Finding::at(
        &*source.path,
        format!("{lines} lines: find the second job; a uniform table is listed in {}", file!()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_unless_it_is_a_listed_table() {
        let of = |path: &str, lines: usize| {
            finding(&Source { path: path.into(), text: "//! A.\n".repeat(lines) })
        };
        assert_eq!(of("crates/git/src/lib.rs", 500), None);
        assert!(of("crates/git/src/lib.rs", 501).is_some());
        assert_eq!(of(TABLES[0], 501), None);
    }
}
