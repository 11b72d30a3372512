//! Where the results of a task are kept: a bare repository of its own, never the mirror.

use std::path::{Path, PathBuf};

use quire_domain::ids::{CommitId, TaskId};

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::lock::Lock;
use crate::mirror::copy_shallow;
use crate::refs::is_ref_name;
use crate::repository::{Repository, make_bare};
use crate::task_repository::TaskRepository;

/// The results of one task. Reads what the mirror and its capture have through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultStore {
    pub(crate) repository: Repository,
}

impl ResultStore {
    /// The repository, to read from.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

impl Git {
    /// Removes what was kept of a task that nobody has.
    ///
    /// # Errors
    ///
    /// What is left, for the next time.
    pub async fn drop_results(&self, task: TaskId) -> Result<(), GitError> {
        let dir = self.results_dir().join(format!("{task}.git"));
        blocking("remove the results", move || match std::fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(GitError::Io { doing: "remove the results in", path: dir, source })
            }
            _ => Ok(()),
        })
        .await
    }

    /// The results of `task`; made if there are none yet.
    pub async fn results(
        &self,
        task: TaskId,
        from: &TaskRepository,
    ) -> Result<ResultStore, GitError> {
        let mirror = from.mirror();
        let dir = self.results_dir().join(format!("{task}.git"));
        let repository = Repository::at(dir.clone(), mirror.repository.object_format());
        if !dir.join("HEAD").exists() {
            let lock = self.results_dir().join(format!("{task}.lock"));
            let _lock =
                Lock::wait("make the results", lock.clone(), std::time::Duration::from_mins(1))
                    .await?;
            let (format, alternates) = (repository.object_format(), from.object_dirs());
            blocking("make the results", move || {
                if dir.join("HEAD").exists() {
                    return Ok(());
                }
                make_bare(&dir, format, &alternates)?;
                // Only making it needs the lock.
                let _ = std::fs::remove_file(&lock);
                Ok(())
            })
            .await?;
        }
        // Where the mirror's history ends, that of the results does.
        let (from, to) = (mirror.repository.git_dir().to_owned(), repository.git_dir().to_owned());
        blocking("make the results", move || copy_shallow(&from, &to)).await?;
        Ok(ResultStore { repository })
    }

    /// The commit that was received under `label`, if one was.
    pub async fn received(
        &self,
        store: &ResultStore,
        label: &str,
    ) -> Result<Option<CommitId>, GitError> {
        let path = store.repository.git_dir().join(attempt_ref(label)?);
        blocking("read the result", move || read_ref(&path)).await
    }
}

fn read_ref(path: &Path) -> Result<Option<CommitId>, GitError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(CommitId::parse(text.trim()).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(GitError::io("read", path)(error)),
    }
}

/// The ref that keeps an attempt's commits.
pub(crate) fn attempt_ref(label: &str) -> Result<PathBuf, GitError> {
    let name = format!("refs/quire/attempts/{label}");
    if is_ref_name(&name) && !label.contains('/') {
        Ok(PathBuf::from(name))
    } else {
        Err(GitError::BadRef { text: label.to_owned() })
    }
}
