//! What people and the recorder read from a repository of ours: diffs and files. All of it
//! bounded, none of it through a program that the repository names.

use std::time::Duration;

use bytes::Bytes;
use quire_domain::attempt::DiffStat;
use quire_domain::ids::CommitId;

use crate::config::Git;
use crate::error::GitError;
use crate::path::RepoPath;
use crate::repository::Repository;
use crate::run::Run;

/// A file that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Its path; of a deleted file the old one.
    pub path: RepoPath,
    /// How it differs. Renames are a deletion and an addition.
    pub status: ChangeStatus,
    /// Its mode before, e.g. `0o100644`; 0 if absent.
    pub old_mode: u32,
    /// Its mode after; 0 if absent.
    pub new_mode: u32,
    /// Its blob before; `None` if absent.
    pub old_blob: Option<String>,
    /// Its blob after; `None` if absent.
    pub new_blob: Option<String>,
    /// Whether git takes it for binary.
    pub binary: bool,
    /// Lines added; 0 for binary files.
    pub added: u64,
    /// Lines removed; 0 for binary files.
    pub removed: u64,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeStatus {
    /// It is new.
    Added,
    /// Its content or mode differs.
    Modified,
    /// It is gone.
    Deleted,
    /// It became a link, or a submodule, or stopped being one.
    TypeChanged,
}

/// A diff as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnifiedDiff {
    /// The text; not always UTF-8, as files are not.
    pub text: Vec<u8>,
    /// Whether it was cut at the limit.
    pub cut: bool,
}

const READ_TIMEOUT: Duration = Duration::from_mins(1);
const READ_CPU_SECONDS: u64 = 30;
/// Options that keep a diff from starting a program.
const DIFF_OPTIONS: [&str; 6] = [
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--ignore-submodules=none",
    "--submodule=short",
];

impl Git {
    pub(crate) fn read<'a>(&'a self, doing: &'static str, repository: &Repository) -> Run<'a> {
        self.ours(doing, repository.git_dir()).timeout(READ_TIMEOUT).cpu_seconds(READ_CPU_SECONDS)
    }

    /// The difference between two commits as a unified diff with `a/` and `b/`; of `paths` alone
    /// unless that is empty. Cut at `limit_bytes`.
    pub async fn diff_unified(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
        paths: &[RepoPath],
        limit_bytes: usize,
    ) -> Result<UnifiedDiff, GitError> {
        let mut run = self
            .read("make the diff", repository)
            .output_limit(limit_bytes)
            .cut_output()
            .literal_paths()
            .args(["diff-tree", "-r", "-p", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"])
            .args(DIFF_OPTIONS)
            .args([base.as_str(), head.as_str(), "--"]);
        for path in paths {
            run = run.arg(path.as_path());
        }
        let ended = run.end().await?;
        if ended.code != Some(0) && !ended.cut {
            return Err(ended.failed("make the diff"));
        }
        Ok(UnifiedDiff { text: ended.output, cut: ended.cut })
    }

    /// Each file that differs between two commits, `limit` at most, and the size of it all.
    ///
    /// # Errors
    ///
    /// [`GitError::OverLimit`] if more files differ.
    pub async fn changes(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
        limit: usize,
    ) -> Result<(Vec<ChangedPath>, DiffStat), GitError> {
        let changed = self.changed_paths(repository, base.as_str(), head.as_str(), limit).await?;
        let stat = DiffStat {
            files: u32::try_from(changed.len()).unwrap_or(u32::MAX),
            added: changed.iter().map(|c| c.added).sum(),
            removed: changed.iter().map(|c| c.removed).sum(),
        };
        Ok((changed, stat))
    }

    /// As [`Git::changes`], between any two objects that have a tree.
    pub(crate) async fn changed_paths(
        &self,
        repository: &Repository,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Vec<ChangedPath>, GitError> {
        let over =
            || GitError::OverLimit { what: "the number of changed files", limit: limit as u64 };
        let output = self
            .read("list the changed files", repository)
            // A path of 4 KiB in both listings is the worst there is.
            .output_limit(limit.saturating_mul(9000).min(256 << 20))
            .args(["diff-tree", "-r", "-z", "--raw", "--numstat", "--full-index"])
            .args(DIFF_OPTIONS)
            .args([from, to, "--"])
            .output()
            .await
            .map_err(|error| match error {
                GitError::OverLimit { .. } => over(),
                other => other,
            })?;
        let changed = parse_changes(&output)?;
        if changed.len() > limit { Err(over()) } else { Ok(changed) }
    }

    /// The size of the difference between two commits.
    pub async fn diff_stat(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<DiffStat, GitError> {
        self.changes(repository, base, head, 1_000_000).await.map(|(_, stat)| stat)
    }

    /// The content of a file in a commit and the name of its blob; of a symbolic link, where it
    /// points. `None` if there is no such file (a directory or a submodule is none).
    ///
    /// # Errors
    ///
    /// [`GitError::OverLimit`] if it has more than `limit_bytes`.
    pub async fn read_file(
        &self,
        repository: &Repository,
        commit: &CommitId,
        path: &RepoPath,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, String)>, GitError> {
        // A newline would be another request to the program.
        if !path.is_safe() {
            return Ok(None);
        }
        let listing = self
            .read("find the file", repository)
            .literal_paths()
            .args(["ls-tree", "-z", "-l", "--full-tree", commit.as_str(), "--"])
            .arg(path.as_path())
            .output_limit(16 * 1024)
            .output()
            .await?;
        let Some((blob, size)) = parse_ls_tree(&listing) else { return Ok(None) };
        if size > limit_bytes as u64 {
            return Err(GitError::OverLimit { what: "the file", limit: limit_bytes as u64 });
        }
        let content = self.read_blob(repository, &blob, limit_bytes).await?;
        Ok(Some((content, blob)))
    }

    /// The content of a blob.
    pub async fn read_blob(
        &self,
        repository: &Repository,
        blob: &str,
        limit_bytes: usize,
    ) -> Result<Bytes, GitError> {
        if !crate::refs::is_object_name(blob) {
            return Err(GitError::BadRef { text: blob.chars().take(80).collect() });
        }
        let content = self
            .read("read the file", repository)
            .args(["cat-file", "blob", blob])
            .output_limit(limit_bytes)
            .output()
            .await?;
        Ok(Bytes::from(content))
    }
}

/// Reads `diff-tree -z --raw --numstat`: all raw entries, then all counts, in the same order.
fn parse_changes(output: &[u8]) -> Result<Vec<ChangedPath>, GitError> {
    let bad = || GitError::malformed("the output of git diff-tree", "an entry is not as asked for");
    let mut fields = output.split(|b| *b == 0).peekable();
    let mut changed = Vec::new();
    while let Some(head) = fields.next_if(|field| field.first() == Some(&b':')) {
        let path = fields.next().ok_or_else(bad)?;
        changed.push(parse_raw(head, path).ok_or_else(bad)?);
    }
    for change in &mut changed {
        let counts = fields.next().ok_or_else(bad)?;
        let mut parts = counts.splitn(3, |b| *b == b'\t');
        let (added, removed) = (parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?);
        if parts.next() != Some(change.path.as_bytes()) {
            return Err(bad());
        }
        if added == b"-" {
            change.binary = true;
        } else {
            let number = |text| std::str::from_utf8(text).ok()?.parse().ok();
            change.added = number(added).ok_or_else(bad)?;
            change.removed = number(removed).ok_or_else(bad)?;
        }
    }
    Ok(changed)
}

fn parse_raw(head: &[u8], path: &[u8]) -> Option<ChangedPath> {
    let mut parts = std::str::from_utf8(head.get(1..)?).ok()?.split(' ');
    let old_mode = u32::from_str_radix(parts.next()?, 8).ok()?;
    let new_mode = u32::from_str_radix(parts.next()?, 8).ok()?;
    let blob = |text: &str| text.bytes().any(|b| b != b'0').then(|| text.to_owned());
    let (old_blob, new_blob) = (blob(parts.next()?), blob(parts.next()?));
    let status = match parts.next()?.as_bytes().first()? {
        b'A' => ChangeStatus::Added,
        b'D' => ChangeStatus::Deleted,
        b'M' => ChangeStatus::Modified,
        b'T' => ChangeStatus::TypeChanged,
        _ => return None,
    };
    Some(ChangedPath {
        path: RepoPath::new(path),
        status,
        old_mode,
        new_mode,
        old_blob,
        new_blob,
        binary: false,
        added: 0,
        removed: 0,
    })
}

/// The blob and size of the one entry of `ls-tree -z -l`.
fn parse_ls_tree(output: &[u8]) -> Option<(String, u64)> {
    let text = String::from_utf8_lossy(output.split(|b| *b == b'\t').next()?).into_owned();
    let mut parts = text.split_ascii_whitespace();
    let (kind, oid, size) = (parts.nth(1)?, parts.next()?, parts.next()?);
    if kind != "blob" {
        return None;
    }
    Some((oid.to_owned(), size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_entries_and_counts_are_joined_and_names_may_hold_anything() {
        let (a, b, zero) = ("1".repeat(40), "2".repeat(40), "0".repeat(40));
        let text = format!(
            ":100644 100755 {a} {b} M\0x\ny\0:000000 120000 {zero} {b} A\0:link\0\
             3\t1\tx\ny\0-\t-\t:link\0"
        );
        let changed = parse_changes(text.as_bytes()).unwrap();
        assert_eq!(changed.len(), 2);
        assert_eq!((changed[0].added, changed[0].removed, changed[0].new_mode), (3, 1, 0o100_755));
        assert_eq!(changed[1].path, RepoPath::new(":link"));
        assert_eq!((changed[1].binary, changed[1].old_blob.as_deref()), (true, None));
        assert!(parse_changes(&text.as_bytes()[..120]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_output_makes_the_parsers_panic(bytes: Vec<u8>) {
            let _ = parse_changes(&bytes);
            let _ = parse_ls_tree(&bytes);
        }
    }
}
