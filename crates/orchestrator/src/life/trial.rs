//! An environment is tried without a task: set up, its services started, its checks run, or a
//! terminal opened in it. All of it goes the way of an attempt; what is recorded is kept in memory
//! and, of what commands print, beside the sandbox's files, which go at the end.

mod at_setup;
mod layers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use quire_agent::ContractError;
use quire_domain::attempt::{Attempt, AttemptState, FailureKind, Outcome};
use quire_domain::budget::{Budget, Spent};
use quire_domain::environment::Environment;
use quire_domain::event::Event;
use quire_domain::ids::{AttemptId, Epoch, TaskId, TurnId};
use quire_domain::journal::Journal;
use quire_domain::sandbox::{Sandbox, SandboxError};
use quire_domain::task::{Mode, Request, StartPoint, Turn};
use quire_domain::time::Timestamp;
use quire_engine::{AttemptChunks, Chunks, LiveFeed, MemoryBlobs, MemoryLog, Watch};
use quire_environment::snapshot::{Decision, Snapshots};
use quire_store::{NewIds, RandomIds};
use tokio_util::sync::CancellationToken;

use self::at_setup::AtSetup;
pub use self::layers::LayerSize;
use super::Life;
use super::conclude::Ending;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::found::Found;
use crate::lease::is_gone;
use crate::recorder::Record;
use crate::resolution::Resolved;
use crate::setup::{Found as FoundSnapshot, Setup};
use crate::submit::{Origin, SubmitError};
use crate::worker::Worker;

/// The file in the directory of a trial that names who is at it.
const MARK: &str = "trial";

/// Whether the directory is that of a trial whose process is gone.
pub fn is_over(dir: &Path, host: &str) -> bool {
    std::fs::read_to_string(dir.join(MARK)).is_ok_and(|worker| is_gone(worker.trim(), host))
}

/// An environment that is tried.
pub struct Trial {
    life: Life,
    start: StartPoint,
    opened: OnceLock<Arc<AttemptFinish>>,
    at_setup: OnceLock<AtSetup>,
}

/// What a trial notes that no event holds.
pub(super) struct Notes {
    /// A snapshot that was made before will not do.
    since: Option<Timestamp>,
    looked: OnceLock<Looked>,
}

/// What was found when it was looked whether there is a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What a snapshot is found by; `None` where nothing is to be set up.
    pub key: Option<String>,
    /// What the key hangs on: names and digests.
    pub inputs: Vec<(String, String)>,
    /// What setup runs.
    pub script: Option<String>,
    /// Whether lock files called for it, and nobody wrote it.
    pub chosen: bool,
    /// Whether there was one.
    pub snapshot: SnapshotWord,
}

/// Whether there was a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotWord {
    /// Nothing is to be set up.
    Nothing,
    /// There was one.
    Hit {
        /// Its age in milliseconds.
        age_ms: u64,
    },
    /// It had to be made.
    Miss {
        /// `setup` or `maintenance`.
        by: &'static str,
        /// Why, for people.
        why: String,
    },
}

impl Notes {
    /// Notes what was found, once; what was made too early does not count.
    pub(super) fn looked(&self, worker: &Worker, setup: Setup) -> Setup {
        let setup = match self.since {
            Some(since) => setup.made_since(worker, since),
            None => setup,
        };
        let snapshot = match &setup.found {
            FoundSnapshot::Nothing | FoundSnapshot::Missing(Decision::Use { .. }) => {
                SnapshotWord::Nothing
            }
            FoundSnapshot::There(snapshot) => {
                let age_ms = worker.clock.now().millis_since(snapshot.manifest.made_at);
                SnapshotWord::Hit { age_ms }
            }
            FoundSnapshot::Missing(Decision::Maintain { why, .. }) => {
                SnapshotWord::Miss { by: "maintenance", why: why.clone() }
            }
            FoundSnapshot::Missing(Decision::Setup { why, .. }) => {
                SnapshotWord::Miss { by: "setup", why: why.clone() }
            }
        };
        let wanted = setup.wanted.as_ref();
        let inputs = wanted.into_iter().flat_map(|wanted| wanted.inputs.iter());
        let _ = self.looked.set(Looked {
            key: wanted.map(|wanted| wanted.inputs.key().to_string()),
            inputs: inputs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect(),
            script: wanted.map(|wanted| wanted.setup.clone()),
            chosen: setup.chosen,
            snapshot,
        });
        setup
    }
}

/// How a trial is begun.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Whether the snapshot is made anew, also where there is one.
    pub fresh: bool,
    /// Whether checks are left out.
    pub skip_checks: bool,
}

impl Trial {
    /// Begins one: nothing runs yet. `cancel` ends what runs then.
    ///
    /// # Errors
    ///
    /// A recipe that no run heeds, and what cannot be written down.
    pub async fn new(
        worker: &Worker,
        found: &Found,
        resolved: &Resolved,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Result<Self, SubmitError> {
        let now = worker.clock.now();
        let id = AttemptId(RandomIds.uuid(now));
        let (turn, task) = (TurnId(RandomIds.uuid(now)), TaskId(RandomIds.uuid(now)));
        let dir = worker.place.upper(id);
        let marked = std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(dir.join(MARK), &worker.place.worker));
        let not_possible = |error: String| SubmitError::NotPossible(error);
        marked.map_err(|error| not_possible(format!("cannot write {}: {error}", dir.display())))?;
        let worker = Worker { record: record_of(worker, &dir), ..worker.clone() };
        let row = Attempt {
            id,
            turn,
            task,
            ordinal: 1,
            state: AttemptState::Preparing,
            epoch: Epoch(1),
            spent: Spent::default(),
            result: None,
            created_at: now,
            updated_at: now,
        };
        let request = Request {
            mode: Mode::Code,
            prompt: String::new(),
            images: Vec::new(),
            model: String::new(),
            attempts: 1,
            budget: Budget::default(),
            checks: Vec::new(),
            skip_checks: asked.skip_checks,
            allow_rewrite: false,
            questions: false,
            output_schema: None,
            review: None,
            start: Some(found.start.clone()),
            environment: Some(resolved.environment.clone()),
        };
        let turn = Turn { id: turn, task, ordinal: 1, request, chosen: None, created_at: now };
        let origin = Origin { secrets: Some(resolved.scope.clone()), ..found.origin.clone() };
        let seen = found.seen();
        let life = Life::of(worker, row, turn, origin, Vec::new(), seen, cancel).await;
        let mut life = life.map_err(|error| not_possible(crate::prepare::causes(&error)))?;
        let since = asked.fresh.then_some(now);
        life.trial = Some(Notes { since, looked: OnceLock::new() });
        life.hold().await;
        let (opened, at_setup) = (OnceLock::new(), OnceLock::new());
        Ok(Self { life, start: found.start.clone(), opened, at_setup })
    }

    /// Watches what happens, from the start on.
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.record().log), self.life.row.id, quire_domain::ids::Seq(1))
    }

    /// What is told and not kept.
    pub fn live(&self) -> LiveFeed {
        self.record().bus.subscribe(self.life.row.id)
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.life.worker.record
    }

    /// What its commands print.
    pub fn chunks(&self) -> AttemptChunks {
        self.record().chunks.of(self.life.row.id, Vec::new())
    }

    /// All that happened by now.
    pub async fn events(&self) -> Result<Vec<Event>, RunError> {
        Ok(self.life.recorder.events().await?)
    }

    /// The environment.
    pub fn environment(&self) -> Option<&Environment> {
        self.life.request().environment.as_ref()
    }

    /// What was found of a snapshot, once it was looked.
    pub fn looked(&self) -> Option<&Looked> {
        self.life.trial.as_ref().and_then(|notes| notes.looked.get())
    }

    /// Sets it up and opens its sandbox: what an attempt has when its agent begins.
    ///
    /// # Errors
    ///
    /// Where the record cannot be written. What an attempt would have ended with is an outcome.
    pub async fn open(&self) -> Result<Result<Arc<dyn Sandbox>, Outcome>, RunError> {
        let opened = match Box::pin(self.opened()).await? {
            Ok(opened) => opened,
            Err(ending) => {
                self.life.recorder.flush().await?;
                return Ok(Err(ending.outcome));
            }
        };
        self.life.recorder.flush().await?;
        let sandbox = self.life.cancel.run_until_cancelled(opened.sandbox.sandbox()).await;
        match sandbox {
            None => Ok(Err(Outcome::Cancelled)),
            Some(Ok(sandbox)) => Ok(Ok(sandbox)),
            Some(Err(SandboxError::HostDiskFull)) => Err(RunError::DiskFull),
            Some(Err(error)) => Ok(Err(failed(FailureKind::SandboxFailed, &error))),
        }
    }

    async fn opened(&self) -> Result<Result<Arc<AttemptFinish>, Ending>, RunError> {
        self.life.begin().await?;
        let layout = match self.life.layout(&self.start).await? {
            Ok(layout) => Arc::new(layout),
            Err(ending) => return Ok(Err(ending)),
        };
        // What was found is told before anything else takes time.
        self.life.recorder.flush().await?;
        let (layout, sandbox) = match self.life.open(&self.start, layout, &[]).await? {
            Ok(opened) => opened,
            Err(ending) => return Ok(Err(ending)),
        };
        let finish = self.life.finish(&self.start, layout, sandbox);
        let _ = self.opened.set(Arc::clone(&finish));
        if let Err(ending) = self.life.start_services(&finish).await? {
            return Ok(Err(ending));
        }
        Ok(Ok(finish))
    }

    /// Runs the checks, as they run on the commit of an attempt that changed nothing. To be called
    /// when it is open.
    ///
    /// # Errors
    ///
    /// As of [`Self::open`].
    pub async fn check(&self) -> Result<Result<(), Outcome>, RunError> {
        let Some(finish) = self.opened.get() else { return Ok(Ok(())) };
        if self.life.request().skip_checks {
            return Ok(Ok(()));
        }
        let checking = Box::pin(finish.run_declared_checks());
        match self.life.cancel.run_until_cancelled(checking).await {
            None => Ok(Err(Outcome::Cancelled)),
            Some(Ok(_)) => Ok(Ok(())),
            Some(Err(ContractError::DiskFull)) => Err(RunError::DiskFull),
            Some(Err(ContractError::Sandbox(error))) if error.is_host_disk_full() => {
                Err(RunError::DiskFull)
            }
            Some(Err(error @ ContractError::Sandbox(_))) => {
                Ok(Err(failed(FailureKind::SandboxFailed, &error)))
            }
            Some(Err(error)) => Ok(Err(failed(FailureKind::Infrastructure, &error))),
        }
    }

    /// Where the repository lies inside, and, of the directory that the person stands in, the same
    /// one inside, if the commit has it.
    pub fn workspace(&self) -> PathBuf {
        let root = self.life.origin.workspace.clone();
        let (Some(start), Some(files)) = (&self.life.origin.start_dir, self.checkout()) else {
            return root;
        };
        let below = Path::new(start.as_str());
        if files.join(below).is_dir() { root.join(below) } else { root }
    }

    /// The layers beneath its sandbox, with what each holds. Looks at every file.
    pub async fn layers(&self) -> Vec<LayerSize> {
        match self.opened.get() {
            Some(finish) => layers::of(&finish.layout).await,
            None => Vec::new(),
        }
    }

    /// Ends all that runs in it; everything is recorded when this returns.
    ///
    /// # Errors
    ///
    /// Where the record cannot be written.
    pub async fn end(&self) -> Result<(), RunError> {
        self.life.end_services().await;
        if let Some(finish) = self.opened.get()
            && let Ok(sandbox) = finish.sandbox.sandbox().await
        {
            let _ = sandbox.end().await;
        }
        if let Some(at) = self.at_setup.get() {
            let _ = at.sandbox.end().await;
        }
        self.life.close_way_out().await;
        self.life.recorder.flush().await?;
        self.drop_older().await;
        Ok(())
    }

    /// One that was made anew takes the place of those before it.
    async fn drop_older(&self) {
        let anew = self.life.trial.as_ref().is_some_and(|notes| notes.since.is_some());
        let snapshot = self.opened.get().and_then(|finish| finish.layout.snapshot.as_ref());
        if let (true, Some(snapshot)) = (anew, snapshot) {
            let worker = &self.life.worker;
            let in_use = crate::keep::snapshots_in_use(worker).await;
            let snapshots = Snapshots::new(&worker.place.data_dir);
            snapshots.drop_older(worker.sandboxes.as_ref(), snapshot, &in_use).await;
        }
    }

    /// Removes all of it but the snapshot. What cannot be removed now is swept.
    pub async fn remove(self) {
        let Self { life, opened, at_setup, .. } = self;
        let (worker, id, task) = (life.worker.clone(), life.row.id, life.row.task);
        drop((opened, at_setup));
        drop(life);
        let _ = worker.git.drop_results(task).await;
        let _ = worker.sandboxes.discard(&worker.place.upper(id)).await;
    }
}

/// A record of its own, which ends with the trial.
fn record_of(worker: &Worker, dir: &Path) -> Record {
    Record {
        log: Arc::new(MemoryLog::default()),
        blobs: Arc::new(MemoryBlobs::default()),
        chunks: Chunks::new(dir.join("chunks")),
        ..worker.record.clone()
    }
}

fn failed(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Outcome {
    Outcome::Failed { kind, detail: crate::prepare::causes(error) }
}
