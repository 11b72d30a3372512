//! Checkpoints of one attempt: commits of its working tree, each packed on top of the one before,
//! in a repository of their own that goes when the attempt has ended.

use std::path::{Path, PathBuf};

use quire_domain::ids::{AttemptId, CommitId};
use tokio::io::AsyncRead;

use crate::config::{Git, blocking, make_private_dir};
use crate::error::GitError;
use crate::mirror::copy_shallow;
use crate::receive::{Quarantine, ReceiveLimits, move_packs};
use crate::repository::{Repository, make_bare};
use crate::results::ResultStore;

impl Git {
    /// Where the checkpoints of `attempt` are kept; made if there are none yet. Reads what
    /// `results` has through it.
    pub async fn checkpoints(
        &self,
        attempt: AttemptId,
        results: &ResultStore,
    ) -> Result<ResultStore, GitError> {
        let dir = self.checkpoints_of(attempt);
        let repository = Repository::at(dir.clone(), results.repository.object_format());
        let (format, alternate) = (repository.object_format(), results.repository.objects_dir());
        let shallow = results.repository.git_dir().to_owned();
        blocking("make the place for checkpoints", move || {
            if !dir.join("HEAD").exists() {
                if let Some(parent) = dir.parent() {
                    make_private_dir(parent)?;
                }
                make_bare(&dir, format, &[alternate])?;
            }
            copy_shallow(&shallow, &dir)
        })
        .await?;
        Ok(ResultStore { repository })
    }

    /// Takes the pack that brings `commit` to a store that has `base` and the checkpoints before.
    /// On disk, not only written, when it returns.
    ///
    /// # Errors
    ///
    /// [`GitError::Refused`] and [`GitError::OverLimit`] for what was handed in; then nothing is
    /// kept.
    pub async fn receive_checkpoint<R>(
        &self,
        store: &ResultStore,
        base: &CommitId,
        commit: &CommitId,
        mut pack: R,
        limits: &ReceiveLimits,
    ) -> Result<(), GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let quarantine = Quarantine::make(self, store).await?;
        let repository = quarantine.repository(store);
        if self.index_pack(&repository, &mut pack, limits).await? {
            self.check_connected(&repository, base, commit, limits).await?;
        }
        let (target, from) = (store.repository.objects_dir().join("pack"), quarantine.packs());
        blocking("keep the checkpoint", move || {
            move_packs(&from, &target)?;
            // git has synced the files; their names are synced here.
            sync_dir(&target)
        })
        .await
    }

    /// Whether a checkpoint is there, whole.
    pub async fn has_checkpoint(
        &self,
        store: &ResultStore,
        base: &CommitId,
        commit: &CommitId,
    ) -> bool {
        let limits = ReceiveLimits::default();
        self.check_connected(&store.repository, base, commit, &limits).await.is_ok()
    }

    /// Whether an attempt has any.
    pub fn keeps_checkpoints(&self, attempt: AttemptId) -> bool {
        self.checkpoints_of(attempt).exists()
    }

    /// The attempts that have some.
    pub fn with_checkpoints(&self) -> Vec<AttemptId> {
        let listing = std::fs::read_dir(self.checkpoints_dir());
        let names = listing.into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.strip_suffix(".git")?.parse().ok()).collect()
    }

    /// Removes the checkpoints of an attempt.
    pub async fn drop_checkpoints(&self, attempt: AttemptId) -> Result<(), GitError> {
        let dir = self.checkpoints_of(attempt);
        blocking("remove checkpoints", move || match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(GitError::io("remove", &dir)(error))
            }
            _ => Ok(()),
        })
        .await
    }

    fn checkpoints_of(&self, attempt: AttemptId) -> PathBuf {
        self.checkpoints_dir().join(format!("{attempt}.git"))
    }

    fn checkpoints_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("checkpoints")
    }
}

fn sync_dir(dir: &Path) -> Result<(), GitError> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(GitError::io("sync", dir))
}
