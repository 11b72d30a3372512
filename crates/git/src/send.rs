//! What of a repository another machine lacks, as a pack in a file: it can then be sent again.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};
use std::time::Duration;

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::repository::Repository;

/// The most commits that are asked of another machine, or looked for, at once.
pub const MOST_ASKED: usize = 512;
const PACK_TIMEOUT: Duration = Duration::from_mins(30);

impl Git {
    /// Which of `commits` are here. At most `MOST_ASKED` are looked at.
    pub async fn has_commits(
        &self,
        repository: &Repository,
        commits: &[CommitId],
    ) -> Result<Vec<CommitId>, GitError> {
        let asked: BTreeSet<String> =
            commits.iter().take(MOST_ASKED).map(|commit| commit.as_str().to_owned()).collect();
        let found = self.existing(repository.git_dir(), &asked).await?;
        Ok(commits.iter().filter(|commit| found.contains(commit.as_str())).cloned().collect())
    }

    /// Commits that another machine may have too: those that `from` comes from, newest first, at
    /// first each of them and then ever fewer, so that few words reach far back.
    pub async fn sampled_history(
        &self,
        repository: &Repository,
        from: &CommitId,
    ) -> Result<Vec<CommitId>, GitError> {
        let output = self
            .ours("read the history", repository.git_dir())
            .args(["rev-list", "--first-parent", "--max-count=200000", from.as_str()])
            .output_limit(32 << 20)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output);
        let mut sampled = Vec::new();
        let mut next = 0_usize;
        let mut last = None;
        for (at, line) in text.lines().enumerate() {
            last = CommitId::parse(line.trim()).ok();
            if at < next || sampled.len() + 1 >= MOST_ASKED {
                continue;
            }
            sampled.extend(last.clone());
            // The first 64 all, then a step of a sixteenth of the way come.
            next = at + 1 + (at.saturating_sub(48) / 16);
        }
        if let Some(root) = last.filter(|root| sampled.last() != Some(root)) {
            sampled.push(root);
        }
        Ok(sampled)
    }

    /// Writes what `wanted` reach and `had` do not as a pack to a file of its own, which is gone
    /// when it is closed; gives the file, at its beginning, and its length.
    ///
    /// # Errors
    ///
    /// [`GitError::OverLimit`] where it is longer than `most_bytes`.
    pub async fn write_pack(
        &self,
        repository: &Repository,
        wanted: &[CommitId],
        had: &[CommitId],
        most_bytes: u64,
    ) -> Result<(std::fs::File, u64), GitError> {
        let dir = self.quarantine_dir();
        let made = blocking("make a file for the pack", move || {
            tempfile::tempfile_in(&dir).map_err(GitError::io("make a file in", &dir))
        });
        let mut file = made.await?;
        let mut revisions = String::new();
        for (mark, commits) in [("", wanted), ("^", had)] {
            for commit in commits {
                revisions.push_str(mark);
                revisions.push_str(commit.as_str());
                revisions.push('\n');
            }
        }
        let kept = file.try_clone().map_err(GitError::io("write the pack", "<file>"))?;
        let ended = self
            .ours("write the pack", repository.git_dir())
            .args(["pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"])
            .input(revisions)
            .timeout(PACK_TIMEOUT)
            .into_file(kept, most_bytes)
            .end()
            .await?;
        let length = file.metadata().map_err(GitError::io("read", "<pack>"))?.len();
        match ended.code {
            Some(0) => {}
            _ if length >= most_bytes => {
                return Err(GitError::OverLimit {
                    what: "the size of the pack, in bytes,",
                    limit: most_bytes,
                });
            }
            _ => return Err(ended.failed("write the pack")),
        }
        file.seek(SeekFrom::Start(0)).map_err(GitError::io("read", "<pack>"))?;
        Ok((file, length))
    }
}
