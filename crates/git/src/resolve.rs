//! Finds the commit that a person's word names.

use quire_domain::ids::CommitId;

use crate::config::Git;
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::repository::Repository;
use crate::run::Run;

impl Git {
    /// The commit that `text` (a branch, a tag, an abbreviated id, `HEAD~2`) names in a
    /// repository of ours.
    ///
    /// # Errors
    ///
    /// [`GitError::BadRef`] for what cannot name one, [`GitError::NoSuchRef`].
    pub async fn resolve(&self, repository: &Repository, text: &str) -> Result<CommitId, GitError> {
        check(text)?;
        resolve(self.ours("find the commit", repository.git_dir()), text).await
    }

    /// The commit that `text` names in a person's checkout. To read it, bring it into the mirror
    /// ([`Git::fetch_commit`]).
    pub async fn resolve_in_checkout(
        &self,
        checkout: &Checkout,
        text: &str,
    ) -> Result<CommitId, GitError> {
        check(text)?;
        let run = self.person("find the commit", &checkout.git_dir, &checkout.top_level);
        resolve(run, text).await
    }
}

fn check(text: &str) -> Result<(), GitError> {
    let bad = text.is_empty()
        || text.len() > 1024
        || text.starts_with('-')
        || text.starts_with('^')
        || text.contains("..")
        || text.chars().any(|c| c.is_control() || c == ' ');
    if bad {
        Err(GitError::BadRef { text: text.chars().filter(|c| !c.is_control()).take(80).collect() })
    } else {
        Ok(())
    }
}

async fn resolve(run: Run<'_>, text: &str) -> Result<CommitId, GitError> {
    let ended = run
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
        .arg(format!("{text}^{{commit}}"))
        .output_limit(4096)
        .end()
        .await?;
    // Old versions of git print the end-of-options mark as well.
    let output = String::from_utf8_lossy(&ended.output);
    let commit = output.lines().rev().find_map(|line| CommitId::parse(line.trim()).ok());
    match (ended.code, commit) {
        (Some(0), Some(commit)) => Ok(commit),
        _ => Err(GitError::NoSuchRef { text: text.to_owned() }),
    }
}
