//! Takes the change of a task that ran on another machine: checked as any result, kept apart.

use quire_domain::ids::CommitId;
use tokio::io::AsyncRead;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::receive::{Quarantine, ReceiveLimits, move_packs};
use crate::results::ResultStore;

impl Git {
    /// Reads the pack of a change that was made elsewhere into `store`, with all that it needs to
    /// be compared with its base. `had` are commits that the sender was told of.
    ///
    /// # Errors
    ///
    /// [`GitError::Refused`] and [`GitError::OverLimit`] for what was sent; then nothing is kept.
    pub async fn bring_change<R>(
        &self,
        store: &ResultStore,
        (base, head): (&CommitId, &CommitId),
        had: &[CommitId],
        mut pack: R,
        limits: &ReceiveLimits,
    ) -> Result<(), GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let had = self.has_commits(&store.repository, had).await?;
        let quarantine = Quarantine::make(self, store).await?;
        let repository = quarantine.repository(store);
        self.index_pack(&repository, &mut pack, limits).await?;
        for commit in [base, head] {
            self.check_reached(&repository, commit, &had, limits).await?;
        }
        let changed = self.changes(&repository, base, head, limits.changed_files).await;
        let (changed, _) = changed.map_err(|error| match error {
            GitError::Failed { message, .. } => GitError::Refused { why: message },
            other => other,
        })?;
        if let Some(change) = changed.iter().find(|change| !change.path.is_safe()) {
            return Err(GitError::Refused { why: format!("bad path `{}`", change.path) });
        }
        let (target, from) = (store.repository.objects_dir().join("pack"), quarantine.packs());
        blocking("keep the change", move || {
            let _quarantine = quarantine;
            move_packs(&from, &target)
        })
        .await
    }
}
