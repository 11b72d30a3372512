//! Paths as git stores them: bytes, since nothing makes them UTF-8.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use quire_domain::path::WorkspacePath;

/// A path relative to the root of a tree, in git's bytes. Prints with everything that a terminal
/// could act on, and bytes that are not UTF-8, as `\xNN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(Vec<u8>);

impl RepoPath {
    /// Takes bytes as git gave them.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a relative path of the host. Not checked: see [`RepoPath::is_safe`].
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The text, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// As the model and people name it, where it is UTF-8 and in order.
    pub fn to_workspace_path(&self) -> Option<WorkspacePath> {
        WorkspacePath::parse(self.to_str()?).ok().filter(|p| p.as_str().as_bytes() == self.0)
    }

    /// Whether it stays below the root and outside of git's own directory: no empty, `.`, `..`
    /// or `.git` part (in any case), no NUL, at most 4,096 bytes, each part at most 255.
    pub fn is_safe(&self) -> bool {
        self.0.len() <= 4096
            && !self.0.contains(&0)
            && self.0.split(|b| *b == b'/').all(|part| {
                !matches!(part, b"" | b"." | b"..")
                    && part.len() <= 255
                    && !part.eq_ignore_ascii_case(b".git")
            })
    }

    /// The last part.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || is_direction_mark(c) {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    fmt::Write::write_char(f, c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Marks that change the direction of text, or have no width: they make one name look like
/// another.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_nothing_that_a_terminal_would_act_on() {
        let path = RepoPath::new(&b"a\x1b]0;x\x07\nb\xff\xe2\x80\xae"[..]);
        assert_eq!(path.to_string(), r"a\x1b]0;x\x07\x0ab\xff\xe2\x80\xae");
    }

    #[test]
    fn a_path_that_leaves_or_enters_git_is_not_safe() {
        for bad in ["", "/a", "a//b", "..", "a/../b", ".git", "a/.GIT/config", "./a", "a/"] {
            assert!(!RepoPath::new(bad).is_safe(), "{bad}");
        }
        assert!(!RepoPath::new("x".repeat(256)).is_safe());
        for good in ["a", "a/.gitignore", "...", "\n", ".github/x"] {
            assert!(RepoPath::new(good).is_safe(), "{good}");
        }
    }
}
