//! Which git is installed, and which one is needed at least.

use std::fmt;
use std::time::Duration;

use crate::config::Git;
use crate::error::GitError;

/// A version of git; what follows the second number says nothing about what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitVersion {
    /// `2` of `2.39.5`.
    pub major: u32,
    /// `39` of `2.39.5`.
    pub minor: u32,
}

/// The oldest git that everything works with. 2.38 was the first to merge without a working tree;
/// what is older than Debian 12 is not tried.
pub const MINIMUM_GIT: GitVersion = GitVersion { major: 2, minor: 39 };

impl fmt::Display for GitVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Git {
    /// Asks git for its version.
    pub async fn version(&self) -> Result<GitVersion, GitError> {
        let output = self
            .ours("ask git for its version", &self.quarantine_dir())
            .arg("--version")
            .output_limit(4096)
            .timeout(Duration::from_secs(10))
            .output()
            .await?;
        parse_version(&output)
            .ok_or_else(|| GitError::malformed("the output of git --version", "it names none"))
    }
}

fn parse_version(output: &[u8]) -> Option<GitVersion> {
    let text = std::str::from_utf8(output).ok()?.strip_prefix("git version ")?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some(GitVersion { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_vendors_are_read_and_compared_by_number() {
        let read = |text: &str| parse_version(text.as_bytes());
        let version = |major, minor| Some(GitVersion { major, minor });
        assert_eq!(read("git version 2.39.5\n"), version(2, 39));
        assert_eq!(read("git version 2.50.1 (Apple Git-155)\n"), version(2, 50));
        assert_eq!(read("git version 2.47.windows.1"), version(2, 47));
        assert_eq!(read("git version 2.5\n"), version(2, 5));
        assert!(read("git version 2.5\n") < Some(MINIMUM_GIT));
        for bad in ["", "git version ", "git version 2", "git version x.y", "2.39"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
