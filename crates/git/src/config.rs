//! The handle that everything hangs on: which git, where the data lies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::GitError;

/// What [`Git`] is told at the start. All paths absolute.
#[derive(Debug, Clone)]
pub struct GitConfig {
    /// The program.
    pub git: PathBuf,
    /// Where `mirrors/`, `captures/`, `layers/`, `results/` and `quarantine/` are made. One file
    /// system.
    pub data_dir: PathBuf,
    /// The `PATH` of git itself.
    pub path_env: OsString,
    /// The person's own settings, read in their checkouts only.
    pub person: PersonSettings,
}

/// Where git finds the settings of the person whose checkouts are read.
#[derive(Debug, Clone, Default)]
pub struct PersonSettings {
    /// Their home: global ignore file, line endings, filters, name and address.
    pub home: Option<PathBuf>,
    /// Their `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// What clone and fetch are given beside: `SSH_AUTH_SOCK`, proxies, certificate files.
    pub network_env: Vec<(OsString, OsString)>,
    /// Who called `sudo`, by its `SUDO_UID`: where we run as root, their checkouts are opened as
    /// our own.
    pub sudo_uid: Option<u32>,
}

/// Mirrors, checkouts and packs. Cheap to clone; several processes may share a data directory.
#[derive(Debug, Clone)]
pub struct Git {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub config: GitConfig,
}

impl Git {
    /// Makes the directories it needs below `data_dir`, readable by nobody else.
    pub fn new(config: GitConfig) -> Result<Self, GitError> {
        for name in ["mirrors", "captures", "layers", "results", "quarantine"] {
            let dir = config.data_dir.join(name);
            make_private_dir(&dir)?;
        }
        Ok(Self { inner: Arc::new(Inner { config }) })
    }

    pub(crate) fn mirrors_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("mirrors")
    }

    pub(crate) fn captures_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("captures")
    }

    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("layers")
    }

    pub(crate) fn results_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("results")
    }

    pub(crate) fn quarantine_dir(&self) -> PathBuf {
        self.inner.config.data_dir.join("quarantine")
    }
}

/// Makes a directory of mode 0700 and those above it.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), GitError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(GitError::io("make the directory", dir))
}

/// Runs `work`, which blocks on the disk, where it holds up nobody else.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => Err(GitError::Failed { doing, message: join.to_string() }),
    }
}
