//! Reads `git status --porcelain=v2 --branch -z`, ours or from inside a sandbox.

use crate::error::GitError;
use crate::path::RepoPath;

/// What `git status` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The commit checked out; `None` before the first.
    pub head: Option<String>,
    /// The branch checked out; `None` if detached.
    pub branch: Option<String>,
    /// Tracked files that differ from `head`, in the index or in the working tree.
    pub changed: Vec<ChangedEntry>,
    /// Files that are neither tracked nor ignored. A name that ends in `/` is a directory that is
    /// a repository of its own (or could not be read).
    pub untracked: Vec<RepoPath>,
    /// Files left in conflict by a merge.
    pub unmerged: Vec<RepoPath>,
}

/// A tracked file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEntry {
    /// Which.
    pub path: RepoPath,
    /// Index against `head`: `.`, `M`, `T`, `A`, `D`, `R` or `C`.
    pub staged: u8,
    /// Working tree against index: `.`, `M`, `T`, `A` or `D`.
    pub unstaged: u8,
    /// Whether it is a submodule.
    pub submodule: bool,
}

impl Status {
    /// Whether nothing differs and nothing is untracked.
    pub fn is_clean(&self) -> bool {
        self.changed.is_empty() && self.untracked.is_empty() && self.unmerged.is_empty()
    }

    /// Files of uncommitted work (submodules and repositories inside left out): those that are
    /// there, and the tracked ones that are not. Git refuses to look for the second kind where a
    /// link has taken the place of their directory.
    pub(crate) fn present_and_gone(&self) -> (Vec<RepoPath>, Vec<RepoPath>) {
        let files = || self.changed.iter().filter(|entry| !entry.submodule);
        let is_gone =
            |e: &ChangedEntry| e.unstaged == b'D' || (e.staged == b'D' && e.unstaged == b'.');
        let untracked = self.untracked.iter().filter(|path| !path.as_bytes().ends_with(b"/"));
        let mut present: Vec<RepoPath> =
            files().filter(|e| !is_gone(e)).map(|e| &e.path).chain(untracked).cloned().collect();
        present.sort();
        present.dedup();
        (present, files().filter(|e| is_gone(e)).map(|e| e.path.clone()).collect())
    }

    /// How many entries are not clean.
    pub fn dirty_count(&self) -> usize {
        self.changed.len() + self.untracked.len() + self.unmerged.len()
    }
}

/// Reads the output of `git status --porcelain=v2 --branch -z`. The input may come from inside a
/// sandbox: nothing is taken for granted, and lines of an unknown kind are an error.
pub fn parse_status(output: &[u8]) -> Result<Status, GitError> {
    let mut status = Status::default();
    let mut fields = output.split(|b| *b == 0);
    while let Some(line) = fields.next() {
        let Some(kind) = line.first() else { continue };
        match kind {
            b'#' => header(&mut status, line),
            b'1' => {
                let (xy, submodule, path) = entry(line, 8)?;
                status.changed.push(changed(xy, submodule, path));
            }
            b'2' => {
                let (xy, submodule, path) = entry(line, 9)?;
                // The name it had before is a field of its own.
                fields.next().ok_or_else(|| bad(line))?;
                status.changed.push(changed(xy, submodule, path));
            }
            b'u' => status.unmerged.push(entry(line, 10)?.2),
            b'?' => status.untracked.push(RepoPath::new(line.get(2..).ok_or_else(|| bad(line))?)),
            b'!' => {}
            _ => return Err(bad(line)),
        }
    }
    Ok(status)
}

fn header(status: &mut Status, line: &[u8]) {
    let Ok(text) = std::str::from_utf8(line) else { return };
    if let Some(oid) = text.strip_prefix("# branch.oid ") {
        status.head = (oid != "(initial)").then(|| oid.to_owned());
    } else if let Some(name) = text.strip_prefix("# branch.head ") {
        status.branch = (name != "(detached)").then(|| name.to_owned());
    }
}

/// The two letters, whether it is a submodule, and the path behind `skip` fields.
fn entry(line: &[u8], skip: usize) -> Result<([u8; 2], bool, RepoPath), GitError> {
    let mut parts = line.splitn(skip + 1, |b| *b == b' ');
    let xy = parts.nth(1).and_then(|xy| <[u8; 2]>::try_from(xy).ok()).ok_or_else(|| bad(line))?;
    let submodule = parts.next().is_some_and(|s| s.first() == Some(&b'S'));
    let path = parts.nth(skip - 3).filter(|p| !p.is_empty()).ok_or_else(|| bad(line))?;
    Ok((xy, submodule, RepoPath::new(path)))
}

fn changed([staged, unstaged]: [u8; 2], submodule: bool, path: RepoPath) -> ChangedEntry {
    ChangedEntry { path, staged, unstaged, submodule }
}

fn bad(line: &[u8]) -> GitError {
    let start = &line[..line.len().min(80)];
    GitError::malformed("the output of git status", RepoPath::new(start).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_is_read_and_names_may_hold_anything() {
        let oid = "1".repeat(40);
        let text = format!(
            "# branch.oid {oid}\0# branch.head ma in\0\
             1 .M N... 100644 100644 100644 {oid} {oid} a b\nc\0\
             2 R. N... 100644 100644 100644 {oid} {oid} R100 new name\0old name\0\
             u UU N... 100644 100644 100644 100644 {oid} {oid} {oid} both sides\0\
             1 .M SC.. 160000 160000 160000 {oid} {oid} sub\0\
             ? un tracked\0? nested/\0! target/\0"
        );
        let status = parse_status(text.as_bytes()).unwrap();
        assert_eq!(status.head.as_deref(), Some(oid.as_str()));
        assert_eq!(status.branch.as_deref(), Some("ma in"));
        let names: Vec<_> = status.changed.iter().map(|c| (c.path.to_str(), c.submodule)).collect();
        assert_eq!(
            names,
            [(Some("a b\nc"), false), (Some("new name"), false), (Some("sub"), true)]
        );
        assert_eq!(status.unmerged, [RepoPath::new("both sides")]);
        assert_eq!(status.untracked, [RepoPath::new("un tracked"), RepoPath::new("nested/")]);
        assert_eq!(status.dirty_count(), 6);
    }

    #[test]
    fn a_line_cut_short_is_an_error() {
        for bad in ["1 .M", "1 .M N... 1 1 1 a", "2 R. N... 1 1 1 a b R1 x", "x", "?"] {
            assert!(parse_status(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_it_panic(bytes: Vec<u8>) {
            let _ = parse_status(&bytes);
        }
    }
}
