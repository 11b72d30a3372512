//! Brings a result into a person's checkout as a branch, or as a working tree of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use quire_domain::ids::CommitId;

use crate::config::Git;
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::refs::is_ref_name;
use crate::results::ResultStore;
use crate::run::Run;

/// What became of a branch that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchReport {
    /// It is there now.
    Made,
    /// It was there, and where it was asked for.
    AlreadyThere,
    /// It is there and has something else: it was left alone.
    Taken(CommitId),
}

const SWITCH_TIMEOUT: Duration = Duration::from_mins(10);

impl Git {
    /// Makes `branch` at `head`, which `store` has, in the person's repository. A branch that is
    /// there is never moved.
    ///
    /// # Errors
    ///
    /// [`GitError::BadRef`] for a name that cannot be one.
    pub async fn make_branch(
        &self,
        checkout: &Checkout,
        store: &ResultStore,
        head: &CommitId,
        branch: &str,
    ) -> Result<BranchReport, GitError> {
        let name = format!("refs/heads/{branch}");
        if !is_ref_name(&name) || branch.starts_with('-') {
            return Err(GitError::BadRef { text: branch.chars().take(80).collect() });
        }
        match self.resolve_in_checkout(checkout, &name).await {
            Ok(there) if there == *head => return Ok(BranchReport::AlreadyThere),
            Ok(there) => return Ok(BranchReport::Taken(there)),
            Err(GitError::NoSuchRef { .. }) => {}
            Err(error) => return Err(error),
        }
        let wanted = BTreeSet::from([head.as_str().to_owned()]);
        let known = BTreeSet::from([checkout.head.as_str().to_owned()]);
        // What both have need not be written again.
        let had = self.existing(store.repository.git_dir(), &known).await?;
        self.transfer(store.repository.git_dir(), &checkout.common_dir, &wanted, &had).await?;
        let none = "0".repeat(head.as_str().len());
        self.person("make the branch", &checkout.git_dir, &checkout.top_level)
            .args(["update-ref", "-m", "quire checkout", &name, head.as_str(), &none])
            .success()
            .await?;
        Ok(BranchReport::Made)
    }

    /// Checks `branch` out where the person stands. git refuses where that would overwrite what is
    /// not committed; then nothing is changed.
    pub async fn switch_to(&self, checkout: &Checkout, branch: &str) -> Result<(), GitError> {
        self.in_person(checkout, "check the branch out")
            .args(["switch", "--quiet", "--no-guess", branch])
            .success()
            .await
    }

    /// A working tree of its own for `branch` at `path`, which must not be there yet, or be empty.
    pub async fn add_worktree(
        &self,
        checkout: &Checkout,
        branch: &str,
        path: &Path,
    ) -> Result<(), GitError> {
        self.in_person(checkout, "make the working tree")
            .args(["worktree", "add", "--quiet"])
            .arg(path)
            .arg(branch)
            .success()
            .await
    }

    /// Writes into the person's checkout: their settings count, and no hook starts, as a result may
    /// have changed those that lie in the repository.
    fn in_person(&self, checkout: &Checkout, doing: &'static str) -> Run<'_> {
        let mut run = self
            .person(doing, &checkout.git_dir, &checkout.top_level)
            .env("GIT_OPTIONAL_LOCKS", "1")
            .timeout(SWITCH_TIMEOUT);
        for (name, value) in &checkout.disarm {
            run = run.named_setting(name, value);
        }
        run
    }
}
