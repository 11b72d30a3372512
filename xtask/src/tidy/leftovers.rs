//! No half-written code stays: stubs and debugging prints, also in tests.

use super::Finding;
use super::sources::Source;

/// Macros that only unfinished code needs, without the `!(` that follows: written like this, this
/// file does not find itself.
const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// A finding for each leftover.
pub fn findings(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for name in MACROS {
            if line.contains(&format!("{name}!(")) {
                findings.push(Finding::at(
                    source.place(index + 1),
                    format!("`{name}!` is left over: write it, or give a typed error"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leftover_is_found_at_its_line() {
        let text = format!("//! A.\nfn a() {{ {}!() }}\n// {}!(\n", MACROS[0], MACROS[2]);
        let found = findings(&Source { path: "a.rs".into(), text });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "a.rs:2");
    }
}
