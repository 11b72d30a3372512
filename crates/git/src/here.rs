//! Reads what a checkout holds as a tree, for a merge: through the person's own settings (line
//! endings, filters), with an index of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use crate::apply::nul_terminated;
use crate::config::{Git, blocking};
use crate::decide::Side;
use crate::error::GitError;
use crate::index::Index;
use crate::inspect::{Checkout, copy_index_file};
use crate::merge::Meeting;
use crate::path::RepoPath;
use crate::readings::ChangedPath;
use crate::worktree::{Seen, look};

/// What a checkout holds.
pub(crate) struct Here {
    /// All of it, as a tree in the place of the merge.
    pub tree: String,
    /// The files that the change speaks of, where they are here.
    pub sides: BTreeMap<RepoPath, Side>,
    index: Arc<tempfile::TempPath>,
}

impl Git {
    /// The files here as one tree: what is tracked, what `changes` speaks of (also where it is
    /// ignored), and, if either side may have renamed anything, what is new and not ignored.
    pub(crate) async fn read_here(
        &self,
        checkout: &Checkout,
        meeting: &Meeting,
        changes: &[ChangedPath],
    ) -> Result<Here, GitError> {
        let (top, asked) = (checkout.top_level.clone(), changes.to_vec());
        let seen = blocking("look at the checkout", move || look(&top, &asked)).await?;
        let named: BTreeSet<RepoPath> = files(&seen).cloned().collect();
        let (source, quarantine) = (checkout.private_index.clone(), self.quarantine_dir());
        let (index, overlooked) = blocking("copy the index", move || {
            let index = copy_index_file(&source, &quarantine)?;
            let overlooked = overlooked(&index)?;
            Ok((Arc::new(index), overlooked))
        })
        .await?;
        let status = &checkout.status;
        let (mut read, mut gone) = status.present_and_gone();
        // A name that was given up can only live on in a new one.
        if gone.is_empty() && changes.iter().all(|change| change.new_mode != 0) {
            let untracked: BTreeSet<&RepoPath> = status.untracked.iter().collect();
            read.retain(|path| !untracked.contains(path));
        }
        read.extend(named.iter().cloned());
        read.sort();
        read.dedup();
        // Entries that git was told not to compare with their files are read like others.
        gone.extend(overlooked.into_iter().filter(|path| named.contains(path)));
        for (args, paths) in
            [(&["--force-remove"][..], &gone), (&["--add", "--remove", "--replace"][..], &read)]
        {
            self.with_index("read the files", checkout, meeting, &index)
                .setting("core.compression=1")
                .arg("update-index")
                .args(args)
                .args(["-z", "--stdin"])
                .input(nul_terminated(paths))
                .success()
                .await?;
        }
        let tree = self
            .with_index("write the files as a tree", checkout, meeting, &index)
            // Files that did not change are not read, and may be missing in a partial clone.
            .args(["write-tree", "--missing-ok"])
            .output()
            .await?;
        let tree = crate::refs::object_name(&tree)?;
        let sides = sides_in(&index, named).await?;
        Ok(Here { tree, sides, index })
    }

    /// The files of `seen` as they are by now.
    pub(crate) async fn read_again(
        &self,
        checkout: &Checkout,
        meeting: &Meeting,
        here: &Here,
        seen: &BTreeMap<RepoPath, Seen>,
    ) -> Result<BTreeMap<RepoPath, Side>, GitError> {
        let wanted: BTreeSet<RepoPath> = files(seen).cloned().collect();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.with_index("read the files", checkout, meeting, &here.index)
            .args(["update-index", "--add", "--remove", "--replace", "-z", "--stdin"])
            .input(nul_terminated(&wanted))
            .success()
            .await?;
        sides_in(&here.index, wanted).await
    }
}

fn files(seen: &BTreeMap<RepoPath, Seen>) -> impl Iterator<Item = &RepoPath> {
    seen.iter().filter(|(_, seen)| seen.is_file_or_link()).map(|(path, _)| path)
}

/// What git was told not to compare with its file: `assume-unchanged`, `skip-worktree`.
fn overlooked(index: &std::path::Path) -> Result<Vec<RepoPath>, GitError> {
    let Some(index) = read_index(index)? else { return Ok(Vec::new()) };
    Ok(index.entries().iter().filter(|e| e.overlooked).map(|e| e.path.clone()).collect())
}

async fn sides_in(
    index: &Arc<tempfile::TempPath>,
    wanted: BTreeSet<RepoPath>,
) -> Result<BTreeMap<RepoPath, Side>, GitError> {
    let index = index.clone();
    blocking("read the index", move || {
        let Some(index) = read_index(&index)? else { return Ok(BTreeMap::new()) };
        let entries = index.entries().iter().filter(|entry| wanted.contains(&entry.path));
        Ok(entries
            .map(|entry| (entry.path.clone(), Side { mode: entry.mode, blob: hex(&entry.oid) }))
            .collect())
    })
    .await
}

/// `None` where there is no index, which is an empty one.
fn read_index(path: &std::path::Path) -> Result<Option<Index>, GitError> {
    match std::fs::read(path) {
        Ok(bytes) => Index::parse(bytes).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GitError::io("read", path)(error)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
