//! Bases that are not the host: brought before anything stands on them, held while it does, and
//! the same for all attempts of a task.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use quire_domain::environment::{BaseSpec, Environment};
use quire_domain::event::{Event, EventBody};
use quire_domain::ids::AttemptId;
use quire_domain::sandbox::{Layer, SandboxBase};
use quire_images::{Base, ImageError, Images, Lack, LackKind, Progress};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

/// Opens the images of an installation.
type Open = Box<dyn FnOnce() -> Result<Images, String> + Send>;

/// The images of an installation, opened when the first is needed: most tasks need none.
#[derive(Clone)]
pub struct Bases {
    images: Arc<LazyLock<Result<Images, String>, Open>>,
    /// Where they are kept.
    dir: PathBuf,
}

/// An environment, and the root file system that it is to stand on where that is not the host's.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The recipe.
    pub environment: Environment,
    /// What was brought of its base.
    pub base: Option<Base>,
}

/// How a base is brought.
#[derive(Clone, Copy)]
pub struct Bring<'a> {
    /// What an earlier attempt of the task stands on: its identity, which wins over the name.
    pub before: Option<&'a str>,
    /// Is told how it goes; returns at once.
    pub told: &'a (dyn Fn(Progress) + Send + Sync),
    /// Calls it off; what came is kept.
    pub cancel: &'a CancellationToken,
}

impl Bases {
    /// Those kept in `dir`; `open` is called at most once, when one is needed. Its error is what
    /// is wrong with the settings, for people.
    pub fn new(
        dir: PathBuf,
        open: impl FnOnce() -> Result<Images, String> + Send + 'static,
    ) -> Self {
        let open: Open = Box::new(open);
        Self { images: Arc::new(LazyLock::new(open)), dir }
    }

    /// The store. Blocks for a moment when it is called first.
    pub fn images(&self) -> Result<&Images, ImageError> {
        let images = LazyLock::force(&self.images).as_ref();
        images.map_err(|why| ImageError::Settings(why.clone()))
    }

    /// The store, if there is one already and it can be opened.
    pub fn known_images(&self) -> Option<&Images> {
        self.dir.exists().then(|| self.images().ok())?
    }
}

impl Ground {
    /// Brings the base of `environment`; nothing is done for the host's view.
    ///
    /// # Errors
    ///
    /// Why it cannot be had, with what to do. One over which no command could run is refused here;
    /// what setup may still bring is no reason yet.
    pub async fn of(
        worker: &Worker,
        environment: Environment,
        bring: Bring<'_>,
    ) -> Result<Self, ImageError> {
        if matches!(environment.base, BaseSpec::Host { .. }) {
            return Ok(Self { environment, base: None });
        }
        let images = worker.bases.images()?;
        let spec = match (&environment.base, bring.before) {
            (BaseSpec::Image { reference }, Some(before)) => {
                BaseSpec::Image { reference: images.pinned(reference, before) }
            }
            (spec, _) => spec.clone(),
        };
        let sandboxes = worker.sandboxes.as_ref();
        let mut base = Box::pin(images.base(&spec, sandboxes, bring.told, bring.cancel)).await?;
        base.check_before_setup()?;
        if bring.before.is_some_and(|before| before != base.identity) {
            base.notes.push(format!(
                "{} has changed since the attempt before: this one stands on it as it is now",
                base.name
            ));
        }
        Ok(Self { environment, base: Some(base) })
    }
}

/// What the root of an attempt's sandboxes was made of, by its own log or by those it goes on from,
/// the nearest first.
pub async fn root_before(
    worker: &Worker,
    own: &[Event],
    continued: &[AttemptId],
) -> Option<String> {
    if let Some(root) = root_of(own) {
        return Some(root);
    }
    for attempt in continued {
        // A log that cannot be read says so when it is needed for more than this.
        let Ok(events) = worker.record.events(*attempt).await else { continue };
        if let Some(root) = root_of(&events) {
            return Some(root);
        }
    }
    None
}

fn root_of(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| match &event.body {
        EventBody::BaseCaptured(base) => base.root.clone(),
        _ => None,
    })
}

/// A digest as people are shown it.
pub fn short(identity: &str) -> &str {
    const SHOWN: usize = "sha256:".len() + 12;
    let from = identity.find(':').map_or(0, |colon| colon + 1);
    identity.get(from..identity.len().min(SHOWN)).unwrap_or(identity)
}

/// What is to be said where git is not to be found in a base with a root of its own, after setup:
/// the agent's work could not be taken out.
pub fn no_git(base: &Base) -> ImageError {
    let own = base.lacks.iter().find(|lack| lack.kind == LackKind::Git).cloned();
    // It was there, and setup took it away.
    let gone = || Lack {
        kind: LackKind::Git,
        what: "setup left it without `git`".to_owned(),
        remedy: "keep `git` in `setup`".to_owned(),
    };
    ImageError::Unusable { lacks: vec![own.unwrap_or_else(gone)] }
}

/// The file beside an attempt's upper that names the layers of the base beneath it.
const PIN: &str = "base.json";

/// What an attempt's upper stands on.
#[derive(Serialize, Deserialize)]
struct Pin {
    identity: String,
    layers: Vec<Layer>,
}

/// Notes beside an attempt's files what they stand on, so that it stays while they are there.
pub fn pin(dir: &Path, base: &Base) -> std::io::Result<()> {
    let pin = Pin { identity: base.identity.clone(), layers: base.layers.clone() };
    let unfinished = dir.join("base.tmp");
    std::fs::write(&unfinished, serde_json::to_vec(&pin)?)?;
    std::fs::rename(unfinished, dir.join(PIN))
}

/// The layers of the base that what lies in an attempt's directory stands on.
pub fn pinned(dir: &Path) -> Vec<PathBuf> {
    let text = std::fs::read(dir.join(PIN)).ok();
    let pin: Option<Pin> = text.and_then(|text| serde_json::from_slice(&text).ok());
    pin.map(|pin| pin.layers.into_iter().map(|layer| layer.path).collect()).unwrap_or_default()
}

/// Removes what of images is kept beyond the settings' limit; `held` are paths of layers that kept
/// uppers stand on. What fails is left for the next time.
pub async fn evict(worker: &Worker, held: &[PathBuf]) {
    if let Some(images) = worker.bases.known_images() {
        let _ = images.evict(held, worker.sandboxes.as_ref()).await;
    }
}

/// The base of sandboxes over this root.
pub fn sandbox_base(base: Option<&Base>) -> SandboxBase {
    base.map_or(SandboxBase::Host, |base| SandboxBase::Layers(base.layers.clone()))
}

/// What goes on while a base is brought, in a few words.
pub fn words(progress: &Progress) -> String {
    let mb = |bytes: &u64| bytes / 1_000_000;
    match progress {
        Progress::Resolving { reference } => format!("asks what {reference} is"),
        Progress::Fetching { layer, of, bytes, total } => {
            format!("layer {layer} of {of}: {} of {} MB", mb(bytes), mb(total))
        }
        Progress::Unpacking { layer, of, bytes } => {
            format!("unpacks layer {layer} of {of}: {} MB", mb(bytes))
        }
        Progress::Waiting { what } => format!("another process makes {what}: waiting for it"),
        Progress::Retrying { why, after_ms } => {
            format!("{why}: tries again in {} s", after_ms.div_ceil(1_000))
        }
    }
}
