//! What the repetitions of an attempt's commands stand on: the base and the snapshot that its log
//! names, made again where they are gone, and the way out that it had, where that is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use quire_agent::ContractError;
use quire_domain::attempt::Attempt;
use quire_domain::event::{EndedBy, Event, EventBody, Phase};
use quire_domain::ids::{AttemptId, Epoch};
use quire_domain::journal::JournalError;
use quire_domain::sandbox::ExitStatus;
use quire_domain::task::{StartPoint, Turn};
use quire_engine::{Chunks, MemoryBlobs, MemoryLog, Redaction};
use quire_environment::snapshot::{SetupLog, Snapshot, Snapshots};
use quire_store::{NewIds as _, RandomIds};

use super::{Network, Rerunning};
use crate::bases::{Bring, Ground, root_before};
use crate::finish::other;
use crate::known_secrets::{self, Known};
use crate::make_snapshot::{Make, make};
use crate::prepare::{Layout, Stack, causes};
use crate::recorder::{Record, Recorder};
use crate::services::Services;
use crate::setup::{self, Found};
use crate::submit::{Origin, environment};
use crate::way_out::{self, Stage, WayOut, asked};
use crate::worker::Worker;

/// The most bytes of a service's output that are kept while commands are repeated.
const SERVICE_BYTES: u64 = 16 << 20;

/// What the repetitions stand on.
pub(super) struct Footing {
    pub(super) layout: Layout,
    pub(super) origin: Origin,
    pub(super) start: StartPoint,
    /// Why it is not what the commands ran on; then none is repeated.
    pub(super) why_not: Option<String>,
    known: Known,
    dir: PathBuf,
}

impl Footing {
    /// Finds it, or makes it again.
    pub(super) async fn of(
        worker: &Worker,
        attempt: &Attempt,
        events: &[Event],
        rerunning: Rerunning<'_>,
    ) -> Result<Self, ContractError> {
        let turn = worker.store.turn(attempt.turn).await.map_err(other)?;
        let origin = worker.store.origin(turn.id).await.map_err(other)?.unwrap_or_default();
        let origin = Origin::parse(&origin).map_err(ContractError::Other)?;
        let start = turn.request.start.clone();
        let start =
            start.ok_or_else(|| ContractError::Other("the turn has no start".to_owned()))?;
        let before = root_before(worker, events, &[]).await;
        let bring = Bring { before: before.as_deref(), ..rerunning.bring };
        let ground = Box::pin(Ground::of(worker, environment(&turn.request), bring)).await;
        let ground = ground.map_err(other)?;
        let dir = worker.place.upper(attempt.id);
        let stack = Stack { attempt_dir: dir.clone(), frozen: Vec::new(), continued: Vec::new() };
        let layout = Layout::make(worker, &origin, &start, &ground, &stack, None).await;
        let layout = layout.map_err(other)?;
        let known = known(worker, &turn, &origin).await?;
        let mut stand = Self { layout, origin, start, why_not: None, known, dir };
        if let Some(key) = snapshot_of(events) {
            stand.lay_on(worker, &key, rerunning).await?;
        }
        Ok(stand)
    }

    /// Lays it on the snapshot of this key.
    async fn lay_on(
        &mut self,
        worker: &Worker,
        key: &str,
        rerunning: Rerunning<'_>,
    ) -> Result<(), ContractError> {
        let held = |layout: &Layout| {
            layout.snapshot.as_ref().is_some_and(|one| one.manifest.key.as_str() == key)
        };
        if held(&self.layout) {
            return Ok(());
        }
        let found = match kept(worker, key) {
            Some(snapshot) => Ok(snapshot),
            None => self.make_again(worker, key, rerunning).await?,
        };
        match found {
            Ok(snapshot) => {
                let layout = self.layout.clone().on(snapshot, &self.dir).map_err(other)?;
                self.layout = layout;
            }
            Err(why) => {
                let short = &key[..key.len().min(12)];
                let text = format!("the snapshot {short} that it ran on is gone, and {why}");
                self.why_not = Some(text);
            }
        }
        Ok(())
    }

    /// The snapshot made once more, where what it hangs on is as it was; or why it is not.
    async fn make_again(
        &mut self,
        worker: &Worker,
        key: &str,
        rerunning: Rerunning<'_>,
    ) -> Result<Result<Snapshot, String>, ContractError> {
        let mut layout = self.layout.clone();
        layout.snapshot = None;
        let secrets = self.known.versions_for_setup(&layout.environment);
        let setup = setup::look(worker, &self.origin, &layout, secrets).await.map_err(other)?;
        let wanted = match &setup.found {
            Found::Missing(decision) => decision.key().map(ToString::to_string),
            Found::There(snapshot) => Some(snapshot.manifest.key.as_str().to_owned()),
            Found::Nothing => None,
        };
        if wanted.as_deref() != Some(key) {
            return Ok(Err("what it was made of is another by now (this machine's packages or \
                           toolchains, a base, a secret, or a snapshot beneath it)"
                .to_owned()));
        }
        if let Found::There(snapshot) = setup.found {
            return Ok(Ok(*snapshot));
        }
        (rerunning.told)("the snapshot that the commands ran on is gone: setup runs once more");
        Box::pin(asked::ask(worker, &mut layout, Stage::Setup)).await;
        let mut unheard = Unheard;
        let make = make(
            Make {
                worker,
                layout: &layout,
                setup: &setup,
                secrets: &self.known,
                recorder: None,
                waits: Box::new(|| {}),
            },
            &mut unheard,
        );
        let made = Box::pin(make).await;
        let redaction = self.redaction(worker);
        Ok(made.map_err(|error| {
            redaction.text(&format!("making it again failed: {}", causes(&error))).into_owned()
        }))
    }

    /// The way out that the attempt had, if it is asked for and there was one.
    pub(super) fn way_out(
        &self,
        worker: &Worker,
        network: Network,
    ) -> Result<Option<WayOut>, ContractError> {
        if network == Network::Closed {
            return Ok(None);
        }
        let dir = self.dir.join("way-out-of-repetitions");
        way_out::for_agent(worker, &self.layout, &dir, None, &self.known.values).map_err(other)
    }

    /// The services of the environment; none of them runs yet. What they print is kept for as long
    /// as they run.
    pub(super) async fn services(&self, worker: &Worker) -> Result<Services, ContractError> {
        let record = Record {
            log: Arc::new(MemoryLog::default()),
            blobs: Arc::new(MemoryBlobs::default()),
            chunks: Chunks::new(self.dir.join("chunks-of-repetitions")),
            ..worker.record.clone()
        };
        let id = AttemptId(RandomIds.uuid(worker.clock.now()));
        let recorder = Recorder::open(record, id, Epoch(1), Vec::new(), SERVICE_BYTES).await;
        Ok(Services::new(
            Arc::new(recorder.map_err(other)?),
            Arc::clone(&worker.clock),
            self.layout.workspace.display().to_string(),
            self.layout.environment.services.clone(),
        ))
    }

    /// What was taken out of what the commands printed.
    pub(super) fn redaction(&self, worker: &Worker) -> Redaction {
        worker.record.redaction.with(self.known.bytes())
    }

    /// Removes what the repetitions left beside the attempt's files.
    pub(super) fn clear(&self) {
        for name in ["way-out-of-repetitions", "chunks-of-repetitions"] {
            // What stays goes with the attempt's directory.
            let _ = std::fs::remove_dir_all(self.dir.join(name));
        }
    }
}

/// The key of the snapshot that the commands ran on, as the log has it.
fn snapshot_of(events: &[Event]) -> Option<String> {
    let mut key = None;
    for event in events {
        match &event.body {
            EventBody::BaseCaptured(base) => key.clone_from(&base.snapshot),
            // It went on without.
            EventBody::PhaseFinished(phase) if phase.phase == Phase::Setup && phase.failed => {
                key = None;
            }
            _ => {}
        }
    }
    key
}

/// The newest snapshot of this key, of whatever age.
fn kept(worker: &Worker, key: &str) -> Option<Snapshot> {
    let snapshots = Snapshots::new(&worker.place.data_dir);
    let mut all = snapshots.all();
    all.retain(|one| one.manifest.key.as_str() == key);
    all.sort_by_key(|one| std::cmp::Reverse(one.manifest.made_at));
    all.iter().find_map(|one| snapshots.hold(&one.name, worker.clock.now()))
}

async fn known(worker: &Worker, turn: &Turn, origin: &Origin) -> Result<Known, ContractError> {
    match (&origin.secrets, &turn.request.environment) {
        (Some(scope), Some(environment)) => {
            known_secrets::open(worker, scope, environment).await.map_err(other)
        }
        _ => Ok(Known::default()),
    }
}

/// Nobody reads what a setup prints that is run once more.
struct Unheard;

#[async_trait]
impl SetupLog for Unheard {
    async fn begun(&mut self, _script: &str) -> Result<(), JournalError> {
        Ok(())
    }

    async fn output(&mut self, _bytes: &[u8]) -> Result<(), JournalError> {
        Ok(())
    }

    async fn ended(
        &mut self,
        _exit: ExitStatus,
        _ms: u64,
        _ended_by: Option<EndedBy>,
    ) -> Result<(), JournalError> {
        Ok(())
    }
}
