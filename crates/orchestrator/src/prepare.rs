//! What the sandboxes of a turn are made of, and the making of an attempt's own, which runs
//! beside the first model request.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quire_agent::SandboxSource;
use quire_domain::environment::{BaseSpec, Environment};
use quire_domain::event::{EventBody, Phase, PhaseFinished};
use quire_domain::sandbox::{
    BindMount, Layer, LayerOwner, OverlayMount, Sandbox, SandboxBase, SandboxError, SandboxSpec,
    SandboxUser, Upper,
};
use quire_domain::sizes;
use quire_domain::task::StartPoint;
use quire_environment::host::{CheckoutFacts, HostView};
use quire_environment::image_variables;
use quire_environment::offline::OFFLINE_VARIABLES;
use quire_environment::snapshot::{Snapshot, Snapshots};
use quire_git::{AttemptGit, CheckoutLayer, GitError, LayerTimes, TaskRepository};
use quire_images::{Base, ImageError};
use tokio::sync::{Notify, watch};

use crate::base;
use crate::bases::{self, Ground};
use crate::generated;
use crate::not_filled;
use crate::recorder::Recorder;
use crate::seen::{Seen, see};
use crate::submit::Origin;
use crate::time_limits::{self, within};
use crate::touched;
use crate::way_out::{Stage, asked, asked::Asked};
use crate::worker::Worker;

/// The name of the overlay that holds the working tree.
pub const WORK: &str = "work";

/// The name of the overlay that holds the home directory.
const HOME: &str = "home";

/// The name of what is written to the root of a base that has one of its own.
const ROOT: &str = "root";

/// The system directories of the host that setup may write to, by the names of their layers.
const SYSTEM: [&str; 5] = ["usr", "etc", "var", "opt", "srv"];

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
    /// The recipe.
    pub environment: Environment,
    /// What setup wrote, where there was something to set up.
    pub snapshot: Option<Snapshot>,
    /// What of the host is shown.
    pub view: HostView,
    /// The root file system beneath everything, where that is not the host's.
    pub root: Option<Base>,
    /// Lower layers by overlay, topmost first: the attempt's own `.git`, the checkout, what the
    /// host shows.
    lowers: BTreeMap<String, Vec<Layer>>,
    /// What attempts wrote, nearest first.
    frozen: Vec<BTreeMap<String, Layer>>,
    /// What the tools of the base say they fetch from, once they were asked.
    pub(crate) asked: Option<Arc<Asked>>,
    /// What programs that size themselves by the machine are told.
    sizes: BTreeMap<String, String>,
}

/// What of an attempt is stacked on the checkout: its own `.git`, and what the attempts it
/// continues have left.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Where the attempt's own files lie; made if absent.
    pub attempt_dir: PathBuf,
    /// The layers that earlier attempts left, nearest first.
    pub frozen: Vec<BTreeMap<String, Layer>>,
    /// Directories of the attempts that it continues, nearest first: on what snapshot they stand.
    pub continued: Vec<PathBuf>,
}

/// The file beside an attempt's upper that names the snapshot it stands on.
pub const SNAPSHOT_PIN: &str = "snapshot";

impl Stack {
    /// The name of the snapshot that this attempt, or the nearest one it goes on from, stands on.
    pub fn pinned(&self) -> Option<String> {
        // Layers of earlier attempts fit on the snapshot that they were written over.
        let before = self.continued.iter().filter(|_| !self.frozen.is_empty());
        std::iter::once(&self.attempt_dir).chain(before).find_map(|dir| pinned(dir))
    }
}

/// The name of the snapshot that what lies in an attempt's directory stands on.
pub fn pinned(dir: &Path) -> Option<String> {
    let name = std::fs::read_to_string(dir.join(SNAPSHOT_PIN)).ok()?;
    Some(name.trim().to_owned())
}

/// Says who commits where the person has not.
const NOBODY: (&str, &str) = ("Quire", "quire@localhost");

impl Layout {
    /// Makes the checkout layer where it is missing, and gathers the rest.
    pub async fn make(
        worker: &Worker,
        origin: &Origin,
        start: &StartPoint,
        ground: &Ground,
        stack: &Stack,
        seen: Option<Arc<Seen>>,
    ) -> Result<Self, GitError> {
        let repository = worker.git.task_repository(&origin.mirror, &origin.layer).await?;
        let environment = &ground.environment;
        let bare = !matches!(environment.base, BaseSpec::Host { bare: false });
        let view = if let Some(base) = &ground.base {
            view_of_root(worker, base)
        } else if bare {
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
        if let Some(base) = &ground.base {
            bases::pin(&stack.attempt_dir, base).map_err(|source| GitError::Io {
                doing: "note the base in",
                path: stack.attempt_dir.clone(),
                source,
            })?;
        }
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
        let snapshots = Snapshots::new(&worker.place.data_dir);
        let now = worker.clock.now();
        let snapshot = stack.pinned().and_then(|name| snapshots.hold(&name, now));
        let mut layout = Self {
            repository,
            checkout,
            workspace: origin.workspace.clone(),
            notes,
            environment: environment.clone(),
            snapshot,
            view,
            root: ground.base.clone(),
            lowers,
            frozen: stack.frozen.clone(),
            asked: None,
            sizes: sizes::variables(&environment.limits, worker.place.machine),
        };
        if layout.snapshot.is_some() {
            let dirs = std::iter::once(&stack.attempt_dir).chain(&stack.continued);
            if let Some(touched) = dirs.map(PathBuf::as_path).find_map(touched::made) {
                layout.touch(touched);
            }
        }
        Box::pin(asked::ask(worker, &mut layout, Stage::Agent)).await;
        Ok(layout)
    }

    /// The same on `snapshot`. What is noted beside the attempt's files keeps it from going while
    /// they are there.
    pub fn on(mut self, snapshot: Snapshot, attempt_dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(attempt_dir)?;
        if let Some(path) = &snapshot.hooks_path {
            // Plain words of the snapshot's own: nothing in them has to be quoted.
            let config = attempt_dir.join("git/.git/config");
            let mut file = std::fs::File::options().append(true).open(config)?;
            writeln!(file, "[core]\n\thooksPath = {path}")?;
        }
        if let Some(touched) = touched::layer(&snapshot, &self.checkout, attempt_dir)? {
            self.touch(touched);
        }
        std::fs::write(attempt_dir.join(SNAPSHOT_PIN), &snapshot.name)?;
        self.snapshot = Some(snapshot);
        Ok(self)
    }

    /// The same with what a sandbox has written laid over it.
    #[must_use]
    pub fn over(&self, frozen: &BTreeMap<String, Layer>) -> Self {
        let mut layout = self.clone();
        layout.frozen.insert(0, frozen.clone());
        layout
    }

    /// The same with nothing that any attempt wrote.
    #[must_use]
    pub fn untouched(&self) -> Self {
        Self { frozen: Vec::new(), ..self.clone() }
    }

    /// What setup stands on: nothing that any attempt wrote, and this snapshot, if any.
    #[must_use]
    pub fn beneath(&self, snapshot: Option<Snapshot>) -> Self {
        Self { snapshot, ..self.untouched() }
    }

    /// The layers of a base with a root of its own, without what was written to it.
    pub fn root_layers(&self) -> &[Layer] {
        self.root.as_ref().map_or(&[], |root| &root.layers)
    }

    /// Whether nothing of the person's machine is shown.
    pub fn is_bare(&self) -> bool {
        !matches!(self.environment.base, BaseSpec::Host { bare: false })
    }

    /// The making of a sandbox that nobody will make: what commands find in it.
    pub fn plain_spec(&self) -> SandboxSpec {
        self.spec("plain".to_owned(), Upper::Memory, SandboxUser::Agent)
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
        env.extend(self.sizes.clone());
        env.extend(self.environment.variables.clone());
        // Set by a setup that knew all of the above.
        env.extend(self.snapshot.iter().flat_map(|snapshot| snapshot.variables.clone()));
        SandboxSpec {
            name,
            base: self.base_of(),
            system: self.system(),
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

    /// Refuses a root of its own in which there is no git: the agent's work could not be taken out.
    /// Setup has run by then, if there is one.
    pub fn check_git(&self) -> Result<(), ImageError> {
        match &self.root {
            Some(base) if !base::has_program(&self.plain_spec(), "git") => Err(bases::no_git(base)),
            _ => Ok(()),
        }
    }

    fn overlay(&self, name: &str, target: &Path) -> OverlayMount {
        let own = self.lowers.get(name).cloned().unwrap_or_default();
        let written = self.written(name);
        let set_up = self.set_up(name);
        // What a commit says wins over what setup wrote, which wins over what the host shows.
        let lowers = if name == WORK {
            [written, own, set_up].concat()
        } else {
            [written, set_up, own].concat()
        };
        OverlayMount { target: target.to_owned(), lowers, name: name.to_owned() }
    }

    /// Lays files over the checkout, which lies at the bottom.
    fn touch(&mut self, layer: Layer) {
        let work = self.lowers.entry(WORK.to_owned()).or_default();
        work.insert(work.len().saturating_sub(1), layer);
    }

    /// What lies beneath everything, with what was written to its root.
    fn base_of(&self) -> SandboxBase {
        match bases::sandbox_base(self.root.as_ref()) {
            SandboxBase::Host => SandboxBase::Host,
            SandboxBase::Layers(layers) => {
                SandboxBase::Layers([self.written(ROOT), self.set_up(ROOT), layers].concat())
            }
        }
    }

    /// What was written to the host's system directories.
    fn system(&self) -> BTreeMap<String, Vec<Layer>> {
        if self.root.is_some() {
            return BTreeMap::new();
        }
        SYSTEM
            .iter()
            .map(|name| ((*name).to_owned(), [self.written(name), self.set_up(name)].concat()))
            .filter(|(_, layers)| !layers.is_empty())
            .collect()
    }

    /// What attempts wrote to an overlay, the nearest first.
    fn written(&self, overlay: &str) -> Vec<Layer> {
        self.frozen.iter().filter_map(|layers| layers.get(overlay)).cloned().collect()
    }

    /// What setup wrote to an overlay.
    fn set_up(&self, overlay: &str) -> Vec<Layer> {
        let layers = self.snapshot.as_ref().and_then(|snapshot| snapshot.layers.get(overlay));
        layers.cloned().unwrap_or_default()
    }
}

/// What commands find in a root of its own: nothing of this machine, and what an image says.
pub(crate) fn view_of_root(worker: &Worker, base: &Base) -> HostView {
    let mut view = HostView::bare(&worker.host);
    // They cover what a host's directories would show.
    view.overlays.clear();
    view.notes.extend(base.notes.iter().map(|note| format!("image: {note}")));
    let (variables, left) = image_variables::of_image(&base.env);
    view.env.extend(variables);
    if !left.is_empty() {
        let left = left.join(", ");
        view.notes.push(format!("image: variables that the sandbox says itself: {left}"));
    }
    view
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
    begin: Arc<Notify>,
}

/// How long the making waits for the first model request to be on its way, or for somebody who asks
/// for the sandbox. On two processors it costs that request some 4 ms where it runs beside it.
const HELD_BACK: Duration = Duration::from_millis(50);

impl Preparing {
    /// Makes it as soon as it is told to begin, or asked for, or some time has gone by; how long it
    /// took goes into the record.
    pub fn start(worker: &Worker, recorder: Arc<Recorder>, spec: SandboxSpec) -> Self {
        let (tell, ready) = watch::channel(None);
        let (worker, begin) = (worker.clone(), Arc::new(Notify::new()));
        let begun = Arc::clone(&begin);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(HELD_BACK, begun.notified()).await;
            let started = worker.clock.now();
            let making = worker.sandboxes.create(spec);
            let made = match within(Phase::Sandbox, time_limits::SANDBOX, making).await {
                Ok(made) => made.map_err(|error| NotMade::of(&error)),
                Err(late) => Err(NotMade::of(&late)),
            };
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
        Self { ready, begin }
    }

    /// One that is made already, or cannot be.
    pub fn made(made: Result<Arc<dyn Sandbox>, NotMade>) -> Self {
        let (_, ready) = watch::channel(Some(made));
        Self { ready, begin: Arc::default() }
    }

    /// The sandbox, if it is ready by now.
    pub fn ready(&self) -> Option<Arc<dyn Sandbox>> {
        self.ready.borrow().as_ref().and_then(|made| made.as_ref().ok().cloned())
    }
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
        self.begin();
        let mut ready = self.ready.clone();
        let made = ready.wait_for(Option::is_some).await.map(|made| made.clone());
        match made {
            Ok(Some(Ok(sandbox))) => Ok(sandbox),
            Ok(Some(Err(NotMade { disk_full: true, .. }))) => Err(SandboxError::HostDiskFull),
            Ok(Some(Err(not_made))) => Err(SandboxError::Gone(not_made.why)),
            Ok(None) | Err(_) => Err(SandboxError::Gone("it was never made".to_owned())),
        }
    }

    fn begin(&self) {
        self.begin.notify_one();
    }
}
