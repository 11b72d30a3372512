//! The Rust files of the workspace, and which part of each is a test.

use std::path::Path;

use anyhow::Context;

/// A Rust file of ours.
pub struct Source {
    /// Relative to the workspace, with `/` between its parts.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl Source {
    /// Whether the whole file is there for tests, benches or chores only.
    pub fn is_test(&self) -> bool {
        // A library's programs in `src/bin` are what its own tests start inside a sandbox.
        let in_test_dir = ["/tests/", "/benches/", "/examples/", "/fuzz/", "/src/bin/"]
            .iter()
            .any(|dir| self.path.contains(dir));
        let name = self.path.rsplit('/').next().unwrap_or_default();
        in_test_dir
            || matches!(name, "tests.rs" | "test.rs") && !self.path.starts_with("xtask/")
            || self.path.starts_with("xtask/")
            || self.path.starts_with("crates/testkit/")
    }

    /// The lines of the product, counted from 1: those before the first `#[cfg(test)]` module.
    /// A test module is the last item of its file.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { test_module_start(&self.text) };
        self.text.lines().take(end).enumerate().map(|(index, line)| (index + 1, line))
    }

    /// `path:line`, as editors read it.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// How many lines stand before `#[cfg(test)]` followed by a module with a body.
fn test_module_start(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let starts = |index: usize| {
        lines[index].trim() == "#[cfg(test)]"
            && lines[index + 1..]
                .iter()
                .find(|line| !line.trim_start().starts_with("#["))
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(|&index| starts(index)).unwrap_or(lines.len())
}

/// Every `.rs` file below `crates/` and `xtask/`, in order of its path.
pub fn all(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for dir in ["crates", "xtask"] {
        walk(root, &root.join(dir), &mut sources)?;
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(root: &Path, dir: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != "target" {
            walk(root, &path, sources)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let path = relative.to_string_lossy().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_test_module_are_not_the_product() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let source = Source { path: "crates/git/src/lib.rs".into(), text: text.into() };
        assert_eq!(source.product_lines().map(|(line, _)| line).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_test_only_import_does_not_end_the_product() {
        let text = "//! A.\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests;\nfn a() {}\n";
        let source = Source { path: "crates/git/src/lib.rs".into(), text: text.into() };
        assert_eq!(source.product_lines().count(), 6);
    }
}
