//! The life of one attempt, from the claim to its end.

mod bring;
mod conclude;
mod cut_off;
mod drive;
mod ground;
mod held_back;
mod idle;
mod lay_out;
mod let_go;
mod money;
mod open;
mod price;
mod run_services;
mod secrets;
mod set_up;
mod settle;
pub mod trial;
mod wait;
mod way;

use std::sync::Arc;

use quire_agent::{End, SandboxSource};
use quire_domain::attempt::{
    Attempt, AttemptResult, AttemptState, FailureKind, Outcome, SuspendReason,
};
use quire_domain::environment::Environment;
use quire_domain::event::{BaseCaptured, Claimed, Event, EventBody, Resumed, Submitted, Suspended};
use quire_domain::ids::AttemptId;
use quire_domain::journal::Journal;
use quire_domain::task::{Continues, Mode, Request, StartPoint, Turn};
use quire_git::GitError;
use quire_store::{Claim, Write};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::conclude::Ending;
pub use self::conclude::spent_of;
use crate::checkpoint::Checkpoints;
use crate::error::RunError;
use crate::finish::AttemptFinish;
use crate::hold::Hold;
use crate::inputs::StoredInputs;
use crate::known_secrets::{self, Known, OpenError};
use crate::lease::{LeaseKeeper, claim};
use crate::prepare::{Layout, Preparing};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::seen::Seen;
use crate::services::Services;
use crate::setup::{self, Setup};
use crate::submit::{Origin, environment};
use crate::way_out::{WayOut, opened};
use crate::worker::Worker;

/// Runs an attempt until it ends or stands still; gives where it then stands.
///
/// Safe to call again after any death: it goes on from the log. `cancel` ends it within five
/// seconds, and what was done is kept.
///
/// # Errors
///
/// [`RunError::Claim`] where somebody else has it or it has ended; the others where the record or
/// the store cannot be written. Failures of the attempt itself are outcomes, not errors.
pub async fn run(
    worker: &Worker,
    attempt: AttemptId,
    seen: Option<Arc<Seen>>,
    cancel: CancellationToken,
) -> Result<AttemptState, RunError> {
    let claim = claim(worker, attempt).await?;
    let ended = run_claimed(worker, attempt, claim, seen, cancel).await?;
    // Who runs one by themselves is not asked to leave.
    Ok(ended.unwrap_or(AttemptState::Queued))
}

/// As [`run`], of an attempt that this worker has claimed. `None` where the worker is leaving and
/// has let go of it: it stands as it is, for another one, and is still held under its epoch.
///
/// # Errors
///
/// As [`run`].
pub async fn run_claimed(
    worker: &Worker,
    attempt: AttemptId,
    claim: Claim,
    seen: Option<Arc<Seen>>,
    cancel: CancellationToken,
) -> Result<Option<AttemptState>, RunError> {
    let lost = cancel.child_token();
    let _lease = LeaseKeeper::start(worker, attempt, claim.epoch, lost.clone());
    let row = worker.store.attempt_by_id(attempt).await?;
    let turn = worker.store.turn(row.turn).await?;
    let origin = worker.store.origin(turn.id).await?;
    let origin = Origin::parse(origin.as_deref().unwrap_or_default()).map_err(RunError::Origin)?;
    let continued = worker.store.continued(attempt).await?;
    let row = Attempt { epoch: claim.epoch, ..row };
    let life = Life::of(worker.clone(), row, turn, origin, continued, seen, lost).await?;
    let whose = (life.row.task, attempt);
    let _listening = worker.inbox.listen(&worker.store, whose, &life.inputs, &life.cancel).await?;
    if let Some(state) = Box::pin(life.worn_out(claim.losses)).await? {
        return Ok(Some(state));
    }
    let ended = tokio::select! {
        biased;
        ended = Box::pin(life.go()) => ended,
        () = worker.leaving.insisted() => {
            Box::pin(life.let_go()).await;
            return Ok(None);
        }
    };
    match ended {
        Err(error) if error.is_disk_full() => life.stand_still(error).await.map(Some),
        Ok(AttemptState::Suspended { reason: SuspendReason::WorkerLost }) => Ok(None),
        ended => ended.map(Some),
    }
}

/// One attempt while this process holds it.
struct Life {
    worker: Worker,
    recorder: Arc<Recorder>,
    row: Attempt,
    turn: Turn,
    origin: Origin,
    continued: Vec<AttemptId>,
    seen: Option<Arc<Seen>>,
    cancel: CancellationToken,
    /// The values of its environment's secrets.
    known: Known,
    /// Why they cannot be had, where that is so: nothing is run then.
    locked: Option<OpenError>,
    /// Files of this attempt and of those it goes on from, so that no sweep takes them away.
    held: std::sync::Mutex<Vec<Hold>>,
    /// What it works in, once that is known.
    working: std::sync::OnceLock<Arc<AttemptFinish>>,
    /// The way out of its sandbox, where its environment opens one.
    way_out: std::sync::Mutex<Option<Arc<WayOut>>>,
    /// What runs in its sandbox beside the agent.
    services: std::sync::OnceLock<Arc<Services>>,
    /// What people say to it.
    inputs: Arc<StoredInputs>,
    /// Where no task is behind it.
    trial: Option<trial::Notes>,
}

impl Life {
    /// An attempt that this process holds, its record taken over under the epoch of `row`.
    async fn of(
        worker: Worker,
        row: Attempt,
        turn: Turn,
        origin: Origin,
        continued: Vec<AttemptId>,
        seen: Option<Arc<Seen>>,
        cancel: CancellationToken,
    ) -> Result<Self, RunError> {
        let chunk_cap =
            turn.request.environment.as_ref().map_or(2 << 30, |env| env.limits.output_bytes);
        let record = worker.record.clone();
        let recorder =
            Recorder::open(record, row.id, row.epoch, continued.clone(), chunk_cap).await?;
        let opened = match (&origin.secrets, &turn.request.environment) {
            (Some(scope), Some(environment)) => {
                known_secrets::open(&worker, scope, environment).await
            }
            _ => Ok(Known::default()),
        };
        let (known, locked) = match opened {
            Ok(known) => (known, None),
            Err(error) => (Known::default(), Some(error)),
        };
        recorder.redact(known.bytes());
        let (store, clock) = (worker.store.clone(), Arc::clone(&worker.clock));
        recorder.tells_progress(Progress::of(row.task, store, clock));
        Ok(Self {
            inputs: StoredInputs::until(worker.leaving.clone()),
            worker,
            recorder: Arc::new(recorder),
            row,
            turn,
            origin,
            continued,
            seen,
            cancel,
            known,
            locked,
            held: std::sync::Mutex::default(),
            working: std::sync::OnceLock::new(),
            way_out: std::sync::Mutex::default(),
            services: std::sync::OnceLock::new(),
            trial: None,
        })
    }

    async fn go(&self) -> Result<AttemptState, RunError> {
        self.hold().await;
        if let Some(state) = self.settle().await? {
            return Ok(state);
        }
        if let Some(state) = Box::pin(self.still_waits()).await? {
            return Ok(state);
        }
        let before = self.events_before().await?;
        if !before.is_empty() && !self.upper().exists() {
            // What was laid out for it may not have reached the disk before a crash.
            let dir = self.worker.place.upper(self.row.id);
            let _ = self.worker.sandboxes.discard(&dir).await;
        }
        self.begin().await?;
        if let Some(state) = self.held_back(&before).await? {
            return Ok(state);
        }
        let Some(start) = self.request().start.clone() else {
            let ending = Ending::failed(FailureKind::Infrastructure, "the turn has no start point");
            return self.conclude(None, ending).await;
        };
        let layout = match self.layout(&start).await? {
            Ok(layout) => Arc::new(layout),
            Err(ending) => return self.conclude(None, ending).await,
        };
        if let Err(ending) = self.bring(&layout).await? {
            return self.conclude(None, ending).await;
        }
        let (layout, sandbox) = match self.open(&start, layout, &before).await? {
            Ok(opened) => opened,
            Err(ending) => return self.conclude(None, ending).await,
        };
        // What was laid out just now, or anew.
        self.hold().await;
        let finish = self.finish(&start, layout, sandbox);
        let _ = self.working.set(Arc::clone(&finish));
        if let Err(ending) = self.start_services(&finish).await? {
            return self.conclude(Some(&finish), ending).await;
        }
        let checkpoints = self.checkpoints(&finish, &before);
        drop(before);
        // The list may say so a little later: the first request does not wait for it.
        let (end, written) = tokio::join!(
            self.drive(&finish, &start),
            self.write_state(AttemptState::Working, None)
        );
        if let Some(checkpoints) = checkpoints {
            checkpoints.stop().await;
        }
        written?;
        let (end, newest) = end?;
        let ending = match end {
            End::Finished { answer, faults } if self.request().mode == Mode::Plan => {
                self.offer_plan(&finish, answer, faults, newest).await?;
                return self.stand(&finish, AttemptState::WaitingForApproval).await;
            }
            End::Waiting(awaits) => return self.stand(&finish, wait::state(awaits)).await,
            End::Approved => wait::approved(),
            End::Finished { answer, faults } => {
                let outcome = if self.request().mode == Mode::Code {
                    Outcome::Changed
                } else {
                    Outcome::Answered
                };
                Ending { outcome, answer: Some((answer, faults)), partial: false }
            }
            End::Suspended(reason @ SuspendReason::WorkerLost) => {
                self.put_down(&finish).await?;
                return Ok(AttemptState::Suspended { reason });
            }
            End::Suspended(reason) => {
                return self.stand(&finish, AttemptState::Suspended { reason }).await;
            }
            End::Cancelled => Ending { outcome: Outcome::Cancelled, answer: None, partial: true },
            End::Refused(words) => {
                Ending { outcome: Outcome::Refused { words }, answer: None, partial: true }
            }
            End::Failed { kind, detail } => Ending::failed(kind, detail),
        };
        self.conclude(Some(&finish), ending).await
    }

    /// It goes on later: what it wrote is kept, and nothing else of it.
    async fn stand(
        &self,
        finish: &AttemptFinish,
        state: AttemptState,
    ) -> Result<AttemptState, RunError> {
        self.put_down(finish).await?;
        let heard = self.acted_on(&state).await?;
        self.write_state(state.clone(), None).await?;
        self.heed_what_came(heard).await?;
        Ok(state)
    }

    /// Where the disk is full: says so in the record as far as there is room for that. What is
    /// there stays as it is, and the attempt goes on from it.
    async fn stand_still(&self, error: RunError) -> Result<AttemptState, RunError> {
        let reason = SuspendReason::DiskFull;
        let events = self.recorder.events().await.map_err(|_| RunError::DiskFull)?;
        // Nothing follows an end: only the store has not been told of it.
        if matches!(events.last().map(|event| &event.body), Some(EventBody::Finished(_))) {
            return Err(error);
        }
        let suspended = EventBody::Suspended(Suspended::of(reason));
        self.recorder.append(vec![suspended]).await.map_err(|_| RunError::DiskFull)?;
        let state = AttemptState::Suspended { reason };
        self.write_state(state.clone(), None).await.map_err(|_| RunError::DiskFull)?;
        Ok(state)
    }

    fn request(&self) -> &Request {
        &self.turn.request
    }

    /// The first events of a claim.
    async fn begin(&self) -> Result<(), RunError> {
        let mut bodies = Vec::new();
        let fresh = self.recorder.is_empty();
        if fresh {
            bodies.push(EventBody::Submitted(Submitted {
                request: self.request().clone(),
                ordinal: self.row.ordinal,
                continues: self.continues().await?,
            }));
        }
        bodies.push(EventBody::Claimed(Claimed {
            worker: self.worker.place.worker.clone(),
            version: self.worker.place.version.clone(),
        }));
        if !fresh {
            let events = self.recorder.events().await?;
            bodies.extend(self.ends_of_cut_off(&events).await?);
            // The claim made it `preparing`: only the log still says that it stood still. A phase
            // that ended beside it may stand behind.
            let stood = events.iter().rev().find_map(|event| match &event.body {
                EventBody::Suspended(_) | EventBody::Waiting(_) => Some(true),
                EventBody::Claimed(_) => Some(false),
                _ => None,
            });
            if stood == Some(true) {
                bodies.push(EventBody::Resumed(Resumed { budget: None }));
            }
        }
        Ok(self.recorder.note(bodies).await?)
    }

    async fn continues(&self) -> Result<Option<Continues>, RunError> {
        let Some(attempt) = self.continued.first().copied() else { return Ok(None) };
        let head = self.worker.record.log.head(attempt).await;
        let final_hash = head.map_err(crate::recorder::log_error)?.hash;
        Ok(Some(Continues { attempt, final_hash }))
    }

    /// Puts the working tree away as it changes, where changes are kept.
    fn checkpoints(&self, finish: &Arc<AttemptFinish>, before: &[Event]) -> Option<Checkpoints> {
        let after = self.worker.place.checkpoint_after?;
        let keeps = self.request().mode.keeps_changes();
        keeps.then(|| Checkpoints::start(finish, after, before))
    }

    /// What the log said before this claim.
    async fn events_before(&self) -> Result<Vec<Event>, RunError> {
        if self.recorder.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.recorder.events().await?)
    }

    fn environment(&self) -> Environment {
        environment(self.request())
    }

    async fn base_captured(
        &self,
        start: &StartPoint,
        layout: &Layout,
        setup: &Setup,
    ) -> Result<(), RunError> {
        let events = self.recorder.events().await?;
        if events.iter().any(|event| matches!(event.body, EventBody::BaseCaptured(_))) {
            return Ok(());
        }
        let mut notes = vec![setup.line(layout, self.worker.clock.now())];
        notes.extend(opened::note(&layout.environment));
        notes.extend(layout.notes.clone());
        notes.extend(setup.notes.clone());
        if let setup::Found::There(snapshot) = &setup.found {
            notes.extend(setup::doubts(snapshot));
        }
        notes.extend(self.budget_without_price().await);
        let captured = EventBody::BaseCaptured(BaseCaptured {
            base: start.base.clone(),
            head: start.head.clone(),
            branch: start.branch.clone(),
            uncommitted: start.uncommitted,
            workspace: layout.workspace.display().to_string(),
            root: layout.root.as_ref().map(|root| root.identity.clone()),
            snapshot: setup.key().map(ToString::to_string),
            notes,
        });
        Ok(self.recorder.note(vec![captured]).await?)
    }

    fn finish(
        &self,
        start: &StartPoint,
        layout: Arc<Layout>,
        sandbox: Preparing,
    ) -> Arc<AttemptFinish> {
        let sandbox: Arc<dyn SandboxSource> = Arc::new(sandbox);
        self.leads_out_of(&sandbox);
        Arc::new(AttemptFinish {
            worker: self.worker.clone(),
            recorder: Arc::clone(&self.recorder),
            sandbox,
            workspace: layout.workspace.clone(),
            layout,
            task: self.row.task,
            attempt: self.row.id,
            name: self.name(),
            continued: self.continued.clone(),
            request: self.request().clone(),
            start: start.clone(),
            services: std::sync::OnceLock::new(),
            secrets: self.known.values.clone(),
            collected: Mutex::new(None),
        })
    }

    async fn write_state(
        &self,
        state: AttemptState,
        result: Option<AttemptResult>,
    ) -> Result<(), RunError> {
        let now = self.worker.clock.now();
        let spent = if state == AttemptState::Working {
            self.row.spent
        } else {
            let events = self.recorder.events().await?;
            self.settle_account(&events, &state).await?;
            spent_of(&events, now)
        };
        let write = Write { state, spent, result, now };
        Ok(self.worker.store.set_state(self.row.id, self.row.epoch, write).await?)
    }
}

/// The end of an attempt whose repository cannot be read; where the disk is full it only waits.
fn repository_unavailable(error: &GitError) -> Result<Ending, RunError> {
    if crate::error::is_disk_full(error) {
        return Err(RunError::DiskFull);
    }
    Ok(Ending::failed(FailureKind::RepositoryUnavailable, crate::prepare::causes(error)))
}
