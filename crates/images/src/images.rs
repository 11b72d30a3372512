//! The entry: from what a recipe names to layers.

use std::path::PathBuf;
use std::sync::Arc;

use quire_domain::environment::BaseSpec;
use quire_domain::sandbox::SandboxBackend;
use tokio_util::sync::CancellationToken;

use crate::base::Base;
use crate::error::ImageError;
use crate::progress::Watcher;
use crate::settings::Settings;

/// Where images are kept and how they are come by.
#[derive(Debug, Clone)]
pub struct ImagesConfig {
    /// `<data>/images`. Made if absent; has to lie on the file system of the sandboxes' uppers.
    pub dir: PathBuf,
    /// The program that unpacks inside a sandbox when called with `unpack-layer`: our own binary,
    /// readable and executable by others.
    pub program: PathBuf,
    /// How registries are reached.
    pub settings: Settings,
}

/// Bases that are not the host.
#[derive(Debug, Clone)]
pub struct Images {
    config: Arc<ImagesConfig>,
}

/// What an eviction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Layers that were removed.
    pub layers: usize,
    /// Bytes these had.
    pub bytes: u64,
    /// Bytes that are still kept.
    pub kept_bytes: u64,
}

impl Images {
    /// Opens the store; makes its directories and removes what a crash left half made.
    pub fn open(config: ImagesConfig) -> Result<Self, ImageError> {
        std::fs::create_dir_all(&config.dir).map_err(ImageError::store("make the image store"))?;
        Ok(Self { config: Arc::new(config) })
    }

    /// Makes layers of what a recipe names, from the store where it has them.
    ///
    /// # Errors
    ///
    /// [`ImageError::Host`] for the host's view. All others say what to do.
    #[expect(clippy::unused_async, reason = "what it does comes next")]
    pub async fn base(
        &self,
        spec: &BaseSpec,
        _backend: &dyn SandboxBackend,
        _progress: &Watcher,
        _cancel: &CancellationToken,
    ) -> Result<Base, ImageError> {
        match spec {
            BaseSpec::Host { .. } => Err(ImageError::Host),
            BaseSpec::Directory { path } | BaseSpec::Tar { path } => {
                Err(ImageError::Path { path: path.clone(), why: "not built yet".to_owned() })
            }
            BaseSpec::Image { reference } => {
                Err(ImageError::Path { path: reference.clone(), why: "not built yet".to_owned() })
            }
        }
    }

    /// Removes the least recently used layers until no more than the settings' budget is kept, never
    /// what a [`crate::Hold`] of any process keeps or what lies beneath one of `held` (the layers'
    /// paths that kept uppers stand on).
    #[expect(clippy::unused_async, reason = "what it does comes next")]
    pub async fn evict(
        &self,
        _held: &[PathBuf],
        _backend: &dyn SandboxBackend,
    ) -> Result<Evicted, ImageError> {
        let _ = &self.config;
        Ok(Evicted::default())
    }
}
