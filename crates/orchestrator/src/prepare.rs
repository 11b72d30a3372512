//! What the sandboxes of a turn are made of, and the making of an attempt's own, which runs
//! beside the first model request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use quire_agent::SandboxSource;
use quire_domain::environment::{BaseSpec, Environment};
use quire_domain::event::{EventBody, Phase, PhaseFinished};
use quire_domain::ids::AttemptId;
use quire_domain::sandbox::{
    BindMount, Layer, LayerOwner, OverlayMount, Sandbox, SandboxBase, SandboxError, SandboxSpec,
    SandboxUser, Upper,
};
use quire_domain::task::StartPoint;
use quire_environment::host::{CheckoutFacts, HostView};
use quire_environment::offline::OFFLINE_VARIABLES;
use quire_git::{AttemptGit, CheckoutLayer, GitError, LayerTimes, TaskRepository};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::generated;
use crate::lease;
use crate::not_filled;
use crate::recorder::Recorder;
use crate::seen::{Seen, see};
use crate::submit::Origin;
use crate::worker::Worker;

/// The name of the overlay that holds the working tree.
pub const WORK: &str = "work";

/// The name of the overlay that holds the home directory.
const HOME: &str = "home";

/// What the sandboxes of a turn are made of.
#[derive(Debug, Clone)]
pub struct Layout {
    /// What the repository is read from: its objects are shown.
    pub repository: TaskRepository,
    /// The checkout layer of the base.
    pub checkout: CheckoutLayer,
    /// Where the repository lies inside.
    pub workspace: PathBuf,
    /// What is told to the person.
    pub notes: Vec<String>,
    environment: Environment,
    base: SandboxBase,
    /// Lower layers by overlay, topmost first.
    lowers: BTreeMap<String, Vec<Layer>>,
    /// The same without what attempts wrote.
    fresh: BTreeMap<String, Vec<Layer>>,
    view: HostView,
}

/// What of an attempt is stacked on the checkout: its own `.git`, and what the attempts it
/// continues have left.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Where the attempt's own files lie; made if absent.
    pub attempt_dir: PathBuf,
    /// The layers that earlier attempts left, nearest first.
    pub frozen: Vec<BTreeMap<String, Layer>>,
}

/// Says who commits where the person has not.
const NOBODY: (&str, &str) = ("Quire", "quire@localhost");

impl Layout {
    /// Makes the checkout layer where it is missing, and gathers the rest.
    pub async fn make(
        worker: &Worker,
        origin: &Origin,
        start: &StartPoint,
        environment: &Environment,
        stack: &Stack,
        seen: Option<Arc<Seen>>,
    ) -> Result<Self, GitError> {
        let repository = worker.git.task_repository(&origin.mirror, &origin.layer).await?;
        let (bare, base) = match &environment.base {
            BaseSpec::Host { bare } => (*bare, SandboxBase::Host),
            BaseSpec::Directory { path } => {
                let layer = Layer { path: PathBuf::from(path), owner: LayerOwner::Host };
                (true, SandboxBase::Layers(vec![layer]))
            }
            // No recipe can name one yet.
            BaseSpec::Tar { .. } | BaseSpec::Image { .. } => {
                (true, SandboxBase::Layers(Vec::new()))
            }
        };
        let view = if bare {
            HostView::bare(&worker.host)
        } else {
            let checkout = origin
                .checkout
                .as_ref()
                .map(|root| CheckoutFacts { root: root.clone(), ignored: origin.ignored.clone() });
            HostView::of(&worker.host, checkout.as_ref())
        };
        let pin = stack.attempt_dir.join("layer");
        let git_dir = stack.attempt_dir.join("git");
        let pinned = match std::fs::read_to_string(&pin) {
            Ok(key) => worker.git.layer_by_key(key.trim()).await?,
            Err(_) => None,
        };
        let mut notes = view.notes.clone();
        let checkout = if let Some(layer) = pinned {
            layer
        } else {
            let seen = match (seen, &origin.checkout) {
                (Some(seen), _) => Some(seen),
                (None, Some(root)) => {
                    Box::pin(see(worker, root, repository.mirror())).await.ok().map(Arc::new)
                }
                (None, None) => None,
            };
            let layer = match &seen {
                // Build tools compare times: see `LayerTimes`.
                Some(seen) if view.build_dirs => {
                    Box::pin(seen.layer(&worker.git, &repository, &origin.layer)).await?
                }
                _ => {
                    let (commit, times) = (&origin.layer, LayerTimes::Commit);
                    Box::pin(worker.git.checkout_layer(&repository, commit, times)).await?
                }
            };
            let author = origin.author.as_ref().map_or(NOBODY, |(name, mail)| (name, mail));
            let attempt_git = AttemptGit {
                base: &origin.layer,
                branch: start.branch.as_deref(),
                hooks_from: seen.as_ref().map(|seen| &seen.checkout),
                author,
            };
            let written = worker.git.attempt_git_dir(&git_dir, &repository, &attempt_git).await?;
            if !written.hooks.is_empty() {
                notes.push(format!("commit hooks carried along: {}", written.hooks.join(", ")));
            }
            std::fs::write(&pin, &layer.key).map_err(|source| GitError::Io {
                doing: "note the layer in",
                path: pin,
                source,
            })?;
            layer
        };
        notes.extend(not_filled::notes(&checkout.manifest));
        let own = Layer { path: git_dir, owner: LayerOwner::Host };
        let tree = Layer { path: checkout.path.clone(), owner: LayerOwner::Host };
        let root = origin.checkout.as_deref();
        let made = generated::layer(root, &view.generated, &stack.attempt_dir).await?;
        let work = [Some(own), made, Some(tree)].into_iter().flatten().collect();
        let mut lowers = BTreeMap::from([(WORK.to_owned(), work)]);
        for overlay in &view.overlays {
            lowers.insert(overlay.name.clone(), overlay.lowers.clone());
        }
        let fresh = lowers.clone();
        // The nearest attempt goes on top, so the farthest is laid first.
        for frozen in stack.frozen.iter().rev() {
            lay_over(&mut lowers, frozen);
        }
        Ok(Self {
            repository,
            checkout,
            workspace: origin.workspace.clone(),
            notes,
            environment: environment.clone(),
            base,
            lowers,
            fresh,
            view,
        })
    }

    /// The same with what a sandbox has written laid over it.
    #[must_use]
    pub fn over(&self, frozen: &BTreeMap<String, Layer>) -> Self {
        let mut layout = self.clone();
        lay_over(&mut layout.lowers, frozen);
        layout
    }

    /// The same with nothing that any attempt wrote.
    #[must_use]
    pub fn untouched(&self) -> Self {
        Self { lowers: self.fresh.clone(), ..self.clone() }
    }

    /// For a base with a root of its own: that root, and the home inside it.
    pub fn root(&self) -> Option<(PathBuf, PathBuf)> {
        match &self.base {
            SandboxBase::Host => None,
            SandboxBase::Layers(layers) => {
                Some((layers.first()?.path.clone(), self.view.home.clone()))
            }
        }
    }

    /// The making of one sandbox.
    pub fn spec(&self, name: String, upper: Upper, user: SandboxUser) -> SandboxSpec {
        let mut overlays =
            vec![self.overlay(HOME, &self.view.home), self.overlay(WORK, &self.workspace)];
        overlays.extend(
            self.view.overlays.iter().map(|overlay| self.overlay(&overlay.name, &overlay.target)),
        );
        let mut binds = self.view.binds.clone();
        binds.extend(self.repository.shown().into_iter().map(|(source, target)| BindMount {
            source,
            target: PathBuf::from(target),
            optional: false,
        }));
        let mut env = self.view.env.clone();
        let offline = OFFLINE_VARIABLES.iter();
        env.extend(offline.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        env.extend(self.environment.variables.clone());
        SandboxSpec {
            name,
            base: self.base.clone(),
            system: BTreeMap::new(),
            overlays,
            binds,
            upper,
            workdir: self.workspace.clone(),
            home: self.view.home.clone(),
            env,
            user,
            limits: self.environment.limits,
            egress: None,
        }
    }

    fn overlay(&self, name: &str, target: &Path) -> OverlayMount {
        let lowers = self.lowers.get(name).cloned().unwrap_or_default();
        OverlayMount { target: target.to_owned(), lowers, name: name.to_owned() }
    }
}

fn lay_over(lowers: &mut BTreeMap<String, Vec<Layer>>, frozen: &BTreeMap<String, Layer>) {
    for (name, layer) in frozen {
        lowers.entry(name.clone()).or_default().insert(0, layer.clone());
    }
}

/// Why there is no sandbox, told to each who asks for it.
#[derive(Debug, Clone)]
pub struct NotMade {
    /// In words.
    pub why: String,
    /// Whether the host's disk has no room: it can be made when there is some.
    pub disk_full: bool,
}

impl NotMade {
    /// By the error that was met.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { why: causes(error), disk_full: crate::error::is_disk_full(error) }
    }
}

/// A sandbox that is being made.
pub struct Preparing {
    ready: watch::Receiver<Option<Result<Arc<dyn Sandbox>, NotMade>>>,
}

impl Preparing {
    /// Starts making it; how long it took goes into the record.
    pub fn start(worker: &Worker, recorder: Arc<Recorder>, spec: SandboxSpec) -> Self {
        let (tell, ready) = watch::channel(None);
        let worker = worker.clone();
        tokio::spawn(async move {
            let started = worker.clock.now();
            let made = worker.sandboxes.create(spec).await;
            let made = made.map_err(|error| NotMade::of(&error));
            let ms = worker.clock.now().millis_since(started);
            let (detail, failed) = match &made {
                Ok(_) => ("ready".to_owned(), false),
                Err(not_made) => (not_made.why.clone(), true),
            };
            let phase = PhaseFinished { phase: Phase::Sandbox, ms, detail, failed };
            // Whoever waits for the sandbox meets a broken record at its own next write.
            let _ = recorder.note(vec![EventBody::PhaseFinished(phase)]).await;
            let _ = tell.send(Some(made));
        });
        Self { ready }
    }

    /// One that is made already, or cannot be.
    pub fn made(made: Result<Arc<dyn Sandbox>, NotMade>) -> Self {
        let (_, ready) = watch::channel(Some(made));
        Self { ready }
    }

    /// The sandbox, if it is ready by now.
    pub fn ready(&self) -> Option<Arc<dyn Sandbox>> {
        self.ready.borrow().as_ref().and_then(|made| made.as_ref().ok().cloned())
    }
}

/// What an attempt left: layers that hold until the machine restarts.
#[derive(Serialize, Deserialize)]
struct Frozen {
    boot: String,
    layers: BTreeMap<String, Layer>,
}

/// The layers that earlier attempts left, as they lie on disk, in the order of `continued`; empty
/// of those that left none. `None` if they are no longer kept: then only commits are left.
pub fn frozen_layers(
    worker: &Worker,
    continued: &[AttemptId],
) -> Option<Vec<BTreeMap<String, Layer>>> {
    continued
        .iter()
        .map(|attempt| {
            let text = std::fs::read(worker.place.upper(*attempt).join("frozen.json")).ok()?;
            let Frozen { boot, layers } = serde_json::from_slice(&text).ok()?;
            let there = layers.get(WORK).is_none_or(|layer| layer.path.exists());
            (there && boot == lease::boot()).then_some(layers)
        })
        .collect()
}

/// Notes the layers that an attempt left, for [`frozen_layers`].
pub fn keep_frozen(
    worker: &Worker,
    attempt: AttemptId,
    frozen: &BTreeMap<String, Layer>,
) -> std::io::Result<()> {
    let dir = worker.place.upper(attempt);
    let unfinished = dir.join("frozen.tmp");
    let frozen = Frozen { boot: lease::boot(), layers: frozen.clone() };
    std::fs::write(&unfinished, serde_json::to_vec(&frozen)?)?;
    std::fs::rename(unfinished, dir.join("frozen.json"))
}

/// An error with its causes, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[async_trait]
impl SandboxSource for Preparing {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let mut ready = self.ready.clone();
        let made = ready.wait_for(Option::is_some).await.map(|made| made.clone());
        match made {
            Ok(Some(Ok(sandbox))) => Ok(sandbox),
            Ok(Some(Err(NotMade { disk_full: true, .. }))) => Err(SandboxError::HostDiskFull),
            Ok(Some(Err(not_made))) => Err(SandboxError::Gone(not_made.why)),
            Ok(None) | Err(_) => Err(SandboxError::Gone("it was never made".to_owned())),
        }
    }
}
