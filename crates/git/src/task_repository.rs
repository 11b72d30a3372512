//! What the repository of a task is read from: the mirror, and the capture that it began with.

use std::path::PathBuf;

use quire_domain::ids::CommitId;

use crate::capture_store::CaptureStore;
use crate::config::Git;
use crate::error::GitError;
use crate::inside::{CAPTURE_INSIDE, OBJECTS_INSIDE};
use crate::mirror::Mirror;
use crate::repository::Repository;

/// The mirror, which all tasks of a repository read, and the capture that one of them began with,
/// which only those read that began with the same.
#[derive(Debug, Clone)]
pub struct TaskRepository {
    mirror: Mirror,
    capture: Option<CaptureStore>,
}

impl TaskRepository {
    pub(crate) fn new(mirror: Mirror, capture: Option<CaptureStore>) -> Self {
        Self { mirror, capture }
    }

    /// What all tasks of the repository read.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// The repository, to read from.
    pub fn repository(&self) -> &Repository {
        self.capture.as_ref().map_or(self.mirror.repository(), CaptureStore::repository)
    }

    /// Directories of objects, each with the place where it has to be shown inside, read-only.
    pub fn shown(&self) -> Vec<(PathBuf, &'static str)> {
        self.object_dirs().into_iter().zip([OBJECTS_INSIDE, CAPTURE_INSIDE]).collect()
    }

    /// The same on the host alone.
    pub(crate) fn object_dirs(&self) -> Vec<PathBuf> {
        let capture = self.capture.iter().map(|capture| capture.objects_dir().to_owned());
        std::iter::once(self.mirror.objects_dir()).chain(capture).collect()
    }
}

impl From<&Mirror> for TaskRepository {
    /// That of a task that begins with a commit of the repository's.
    fn from(mirror: &Mirror) -> Self {
        Self::new(mirror.clone(), None)
    }
}

impl Git {
    /// The repository of a task that began at `base`, in the mirror with this key.
    ///
    /// # Errors
    ///
    /// [`GitError::NotARepository`] if there is no such mirror any more.
    pub async fn task_repository(
        &self,
        mirror_key: &str,
        base: &CommitId,
    ) -> Result<TaskRepository, GitError> {
        let mirror = self.mirror_by_key(mirror_key).await?;
        let capture = self.open_capture(&mirror, base).await?;
        Ok(TaskRepository::new(mirror, capture))
    }
}
