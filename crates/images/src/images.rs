//! The entry: from what a recipe names to layers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_domain::environment::BaseSpec;
use quire_domain::sandbox::SandboxBackend;
use tokio_util::sync::CancellationToken;

use crate::base::{Base, Hold, Known};
use crate::digest::Digest;
use crate::error::ImageError;
use crate::progress::{Teller, Watcher};
use crate::reference::Reference;
use crate::registry::{Call, Registries};
use crate::settings::Settings;
use crate::store::lock::{self, Mode};
use crate::store::{LayerFacts, Record, Store};
use crate::{directory, image, tar_file, usable};

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
    pub(crate) shared: Arc<Shared>,
}

/// What every call uses.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) program: PathBuf,
    pub(crate) settings: Arc<Settings>,
    pub(crate) registries: Registries,
}

/// One call: who makes sandboxes, who is told, who calls off.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) backend: &'a dyn SandboxBackend,
    pub(crate) call: Call<'a>,
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
    /// Opens the store; makes its directories. Blocks for a moment.
    pub fn open(config: ImagesConfig) -> Result<Self, ImageError> {
        let settings = Arc::new(config.settings);
        let shared = Shared {
            store: Store::open(&config.dir)?,
            program: config.program,
            registries: Registries::new(Arc::clone(&settings)),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes layers of what a recipe names, from the store where it has them. Two processes that
    /// need the same bring it once. What a process that was killed had brought is gone on with.
    ///
    /// # Errors
    ///
    /// [`ImageError::Host`] for the host's view. All others say what to do.
    pub async fn base(
        &self,
        spec: &BaseSpec,
        backend: &dyn SandboxBackend,
        progress: &Watcher<'_>,
        cancel: &CancellationToken,
    ) -> Result<Base, ImageError> {
        let teller = Teller::new(progress);
        let task = Task { backend, call: Call { teller: &teller, cancel } };
        match spec {
            BaseSpec::Host { .. } => Err(ImageError::Host),
            BaseSpec::Directory { path } => directory::base(&self.shared, path, task).await,
            BaseSpec::Tar { path } => tar_file::base(&self.shared, path, task).await,
            BaseSpec::Image { reference } => image::base(&self.shared, reference, task).await,
        }
    }

    /// The name of an image as it is for ever: with the digest that it stood for. A name that has
    /// one, and one that cannot be read, stays as it is.
    pub fn pinned(&self, reference: &str, identity: &str) -> String {
        let settings = &self.shared.settings;
        match (Reference::parse(reference, settings), identity.parse::<Digest>()) {
            (Ok(found), Ok(digest)) if found.digest.is_none() => {
                Reference { digest: Some(digest), ..found }.to_string()
            }
            _ => reference.to_owned(),
        }
    }

    /// What is known of a base from earlier, if anything is. Asks nobody.
    pub fn known(&self, spec: &BaseSpec) -> Option<Known> {
        let shared = &self.shared;
        let record = match spec {
            BaseSpec::Image { reference } => image::known(shared, reference),
            BaseSpec::Tar { path } => tar_file::known(shared, path),
            BaseSpec::Host { .. } | BaseSpec::Directory { .. } => None,
        }?;
        let facts: Vec<Option<LayerFacts>> =
            record.chains().iter().map(|chain| shared.store.facts(chain)).collect();
        Some(Known {
            identity: record.digest.to_string(),
            layers: facts.len(),
            bytes: facts.iter().flatten().map(LayerFacts::bytes).sum(),
            whole: facts.iter().all(Option::is_some),
            asked_at: record.asked_at,
        })
    }

    /// Removes the least recently used layers until no more than `kept_bytes` of the settings'
    /// limits are kept, never what a [`Hold`] of any process keeps or what `held` (paths of layers,
    /// as a [`Base`] gave them, that kept uppers stand on) names, with all beneath. Sweeps what
    /// crashes left. Does nothing while another process begins to use something.
    pub async fn evict(
        &self,
        held: &[PathBuf],
        backend: &dyn SandboxBackend,
    ) -> Result<Evicted, ImageError> {
        let (shared, held) = (Arc::clone(&self.shared), held.to_vec());
        let doomed = tokio::task::spawn_blocking(move || {
            shared.store.doom(shared.settings.limits.kept_bytes, &held)
        })
        .await
        .map_err(std::io::Error::other)
        .and_then(|doomed| doomed)
        .map_err(ImageError::store("look through the image store"))?;
        for path in &doomed.paths {
            backend.discard(path).await?;
        }
        Ok(Evicted { layers: doomed.layers, bytes: doomed.bytes, kept_bytes: doomed.kept_bytes })
    }
}

impl Shared {
    /// Writes the record of what is about to be used and holds it, so that no eviction takes any
    /// of it away from now on.
    pub(crate) async fn hold(
        &self,
        key: &str,
        record: Option<&Record>,
        task: Task<'_>,
    ) -> Result<Hold, ImageError> {
        let most = self.settings.timing.others;
        let all = self.store.lock_file("store");
        let _all = lock::take(&all, Mode::Shared, "the image store", most, task.call).await?;
        let own = self.store.lock_file(key);
        let lock = lock::take(&own, Mode::Shared, "an image", most, task.call).await?;
        if let Some(record) = record {
            self.store
                .write_record(key, record)
                .map_err(ImageError::store("note what an image is made of"))?;
        }
        Ok(Hold::by(lock))
    }

    /// The base of a record whose layers are all there.
    pub(crate) fn finished(&self, record: &Record, hold: Hold, mut notes: Vec<String>) -> Base {
        let chains = record.chains();
        let facts: Vec<_> = chains.iter().filter_map(|chain| self.store.facts(chain)).collect();
        for chain in &chains {
            self.store.touch(chain);
        }
        let lacks = facts.last().map(|facts| usable::lacks(&facts.found)).unwrap_or_default();
        notes.extend(usable::notes(record, &facts));
        let described = record.described.clone();
        Base {
            layers: chains.iter().rev().map(|chain| self.store.layer(chain)).collect(),
            name: record.name.clone(),
            bytes: facts.iter().map(LayerFacts::bytes).sum(),
            identity: record.digest.to_string(),
            env: described.env,
            workdir: described.workdir,
            user: described.user,
            labels: described.labels,
            notes,
            lacks,
            hold,
        }
    }

    /// Says where a path cannot be used.
    pub(crate) fn path_error(path: &str, why: impl std::fmt::Display) -> ImageError {
        ImageError::Path { path: path.to_owned(), why: why.to_string() }
    }

    /// An absolute path of a recipe.
    pub(crate) fn absolute(path: &str) -> Result<&Path, ImageError> {
        let absolute = Path::new(path);
        if absolute.is_absolute() {
            Ok(absolute)
        } else {
            Err(Self::path_error(path, "write the whole path, from the root"))
        }
    }
}
