//! Paths inside a repository's working tree.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A path relative to the root of the working tree: no leading `/`, no empty, `.` or `..` part,
/// no NUL, at most 4,096 bytes, and nothing below a `.git`. Bytes that are not UTF-8 are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspacePath(String);

/// Why a text is no path of the working tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing was given.
    #[error("the path is empty")]
    Empty,
    /// It starts with `/`.
    #[error("`{0}` is absolute; give it relative to the root of the repository")]
    Absolute(String),
    /// A part is `..`.
    #[error("`{0}` leads out of the repository")]
    Leaves(String),
    /// A part is `.git` in any case.
    #[error("`{0}` is inside git's own directory")]
    InsideGit(String),
    /// Longer than 4,096 bytes, or has a NUL.
    #[error("the path is too long or has a NUL byte")]
    Malformed,
}

impl WorkspacePath {
    /// Reads a path as people and models write it: `./` and doubled slashes are dropped.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > 4096 || text.contains('\0') {
            return Err(BadPath::Malformed);
        }
        if text.starts_with('/') {
            return Err(BadPath::Absolute(text.to_owned()));
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(BadPath::Leaves(text.to_owned())),
                part if part.eq_ignore_ascii_case(".git") => {
                    return Err(BadPath::InsideGit(text.to_owned()));
                }
                part => parts.push(part),
            }
        }
        if parts.is_empty() { Err(BadPath::Empty) } else { Ok(Self(parts.join("/"))) }
    }

    /// The path's text, parts separated by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories that hold it, from the root (`""`) down.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        std::iter::once("")
            .chain(self.0.char_indices().filter(|(_, c)| *c == '/').map(|(i, _)| &self.0[..i]))
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WorkspacePath {
    type Error = BadPath;
    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::parse(&text)
    }
}

impl From<WorkspacePath> for String {
    fn from(path: WorkspacePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normalised_and_cannot_leave() {
        let parse = |text: &str| WorkspacePath::parse(text).map(|p| p.as_str().to_owned());
        assert_eq!(parse("./src//lib.rs"), Ok("src/lib.rs".to_owned()));
        assert_eq!(parse("/etc/passwd"), Err(BadPath::Absolute("/etc/passwd".to_owned())));
        assert_eq!(parse("a/../../b"), Err(BadPath::Leaves("a/../../b".to_owned())));
        assert_eq!(parse(".GIT/config"), Err(BadPath::InsideGit(".GIT/config".to_owned())));
        assert_eq!(parse("./"), Err(BadPath::Empty));
        assert_eq!(parse("a\0b"), Err(BadPath::Malformed));
    }

    #[test]
    fn directories_run_from_the_root_down() {
        let path = WorkspacePath::parse("a/b/c.txt").unwrap();
        assert_eq!(path.directories().collect::<Vec<_>>(), ["", "a", "a/b"]);
    }
}
