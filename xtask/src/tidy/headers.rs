//! Every file says its one job in its first line.

use super::Finding;
use super::sources::Source;

/// A finding unless the file begins with `//! ` and words.
pub fn finding(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//! ").is_some_and(|words| !words.trim().is_empty());
    (!said).then(|| Finding::at(source.place(1), "say the file's one job in a first line `//! …`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_say_its_job_is_found() {
        let of = |text: &str| finding(&Source { path: "a.rs".into(), text: text.into() });
        assert_eq!(of("//! Reads lines.\n"), None);
        assert!(of("use std;\n//! Reads lines.\n").is_some());
        assert!(of("//!\n").is_some());
        assert!(of("").is_some());
    }
}
