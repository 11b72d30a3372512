//! The life of one attempt, from the claim to its end.

use std::sync::Arc;
use std::time::Duration;

use quire_agent::{AttemptRun, End, Finish, SandboxSource};
use quire_domain::attempt::{Attempt, AttemptResult, AttemptState, FailureKind, Outcome};
use quire_domain::budget::Spent;
use quire_domain::event::{
    Answered, BaseCaptured, Claimed, CommandFinished, CommitBy, Committed, EndedBy, Event,
    EventBody, Fault, Finished, Phase, PhaseFinished, Resumed, Submitted,
};
use quire_domain::ids::AttemptId;
use quire_domain::journal::Journal;
use quire_domain::sandbox::{ExitStatus, SandboxUser, Upper};
use quire_domain::task::{Continues, Mode, Request, StartPoint, Turn};
use quire_git::CacheWord;
use quire_store::Write;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::finish::{AttemptFinish, Collected};
use crate::inputs::{POLL, StoredInputs};
use crate::instructions::{LayerInstructions, RootFiles};
use crate::lease::{LeaseKeeper, claim};
use crate::prepare::{Layout, Preparing, Seen, Stack};
use crate::purse::TurnPurse;
use crate::recorder::Recorder;
use crate::submit::Origin;
use crate::worker::Worker;

/// How long the work of a cancelled attempt may take to be taken out.
const PARTIAL_TIME: Duration = Duration::from_secs(3);

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
    let lost = cancel.child_token();
    let _lease = LeaseKeeper::start(worker, attempt, claim.epoch, lost.clone());
    let row = worker.store.attempt_by_id(attempt).await?;
    let turn = worker.store.turn(row.turn).await?;
    let origin = worker.store.origin(turn.id).await?;
    let origin = Origin::parse(origin.as_deref().unwrap_or_default()).map_err(RunError::Origin)?;
    let continued = worker.store.continued(attempt).await?;
    let chunk_cap =
        turn.request.environment.as_ref().map_or(2 << 30, |env| env.limits.output_bytes);
    let recorder =
        Recorder::open(worker.record.clone(), attempt, claim.epoch, continued.clone(), chunk_cap)
            .await?;
    let life = Life {
        worker: worker.clone(),
        recorder: Arc::new(recorder),
        row: Attempt { epoch: claim.epoch, ..row },
        turn,
        origin,
        continued,
        seen,
        cancel: lost,
    };
    life.go().await
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
}

/// How an attempt ended, before that is written down.
struct Ending {
    outcome: Outcome,
    answer: Option<(String, Vec<Fault>)>,
    partial: bool,
}

impl Ending {
    fn failed(kind: FailureKind, detail: impl Into<String>) -> Self {
        let outcome = Outcome::Failed { kind, detail: detail.into() };
        Self { outcome, answer: None, partial: true }
    }
}

impl Life {
    async fn go(&self) -> Result<AttemptState, RunError> {
        self.begin().await?;
        let Some(start) = self.request().start.clone() else {
            let ending = Ending::failed(FailureKind::Infrastructure, "the turn has no start point");
            return self.conclude(None, ending).await;
        };
        let layout = match self.layout(&start).await {
            Ok(layout) => Arc::new(layout),
            Err(ending) => return self.conclude(None, ending).await,
        };
        self.base_captured(&start, &layout).await?;
        let finish = self.finish(&start, layout);
        // The list may say so a little later: the first request does not wait for it.
        let (written, end) = tokio::join!(
            self.write_state(AttemptState::Working, None),
            self.drive(&finish, &start)
        );
        written?;
        let end = end?;
        let ending = match end {
            End::Finished { answer, faults } => {
                let outcome = if self.request().mode == Mode::Code {
                    Outcome::Changed
                } else {
                    Outcome::Answered
                };
                Ending { outcome, answer: Some((answer, faults)), partial: false }
            }
            End::Suspended(reason) => {
                self.recorder.flush().await?;
                self.end_sandbox(&finish).await;
                let state = AttemptState::Suspended { reason };
                self.write_state(state.clone(), None).await?;
                return Ok(state);
            }
            End::Cancelled => Ending { outcome: Outcome::Cancelled, answer: None, partial: true },
            End::Refused(words) => {
                Ending { outcome: Outcome::Refused { words }, answer: None, partial: true }
            }
            End::Failed { kind, detail } => Ending::failed(kind, detail),
        };
        self.conclude(Some(&finish), ending).await
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
            // Commands that the death of a worker cut off: their output so far is kept.
            for chunk in self.recorder.finish_interrupted().await? {
                bodies.push(EventBody::CommandFinished(CommandFinished {
                    chunk,
                    exit: ExitStatus::Signal(9),
                    ms: 0,
                    ended_by: Some(EndedBy::SandboxGone),
                }));
            }
            if matches!(self.row.state, AttemptState::Suspended { .. }) {
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

    async fn layout(&self, start: &StartPoint) -> Result<Layout, Ending> {
        let started = self.worker.clock.now();
        let environment = self.request().environment.clone().unwrap_or_else(|| {
            quire_environment::recipe::default_environment(
                false,
                quire_domain::environment::Limits::default(),
            )
        });
        let stack = Stack {
            attempt_dir: self.worker.place.upper(self.row.id),
            frozen: crate::prepare::frozen_layers(&self.worker, &self.continued),
        };
        let made = Layout::make(
            &self.worker,
            &self.origin,
            start,
            &environment,
            &stack,
            self.seen.as_deref(),
        )
        .await;
        let layout = made.map_err(|error| {
            Ending::failed(FailureKind::RepositoryUnavailable, crate::prepare::causes(&error))
        })?;
        let detail = match &layout.checkout.cache {
            CacheWord::Hit => "cache hit".to_owned(),
            CacheWord::Miss { why } => format!("cache miss: {why}"),
        };
        let ms = self.worker.clock.now().millis_since(started);
        let phase = PhaseFinished { phase: Phase::Checkout, ms, detail, failed: false };
        // A broken record shows at the next write that matters.
        let _ = self.recorder.note(vec![EventBody::PhaseFinished(phase)]).await;
        Ok(layout)
    }

    async fn base_captured(&self, start: &StartPoint, layout: &Layout) -> Result<(), RunError> {
        let events = self.recorder.events().await?;
        if events.iter().any(|event| matches!(event.body, EventBody::BaseCaptured(_))) {
            return Ok(());
        }
        let captured = EventBody::BaseCaptured(BaseCaptured {
            base: start.base.clone(),
            head: start.head.clone(),
            branch: start.branch.clone(),
            uncommitted: start.uncommitted,
            workspace: layout.workspace.display().to_string(),
            notes: layout.notes.clone(),
        });
        Ok(self.recorder.note(vec![captured]).await?)
    }

    fn finish(&self, start: &StartPoint, layout: Arc<Layout>) -> Arc<AttemptFinish> {
        let name = format!("a{}", self.row.id.0.simple());
        let upper = Upper::Disk(self.worker.place.upper(self.row.id).join("upper"));
        let spec = layout.spec(name.clone(), upper, SandboxUser::Agent);
        let sandbox = Preparing::start(&self.worker, Arc::clone(&self.recorder), spec);
        Arc::new(AttemptFinish {
            worker: self.worker.clone(),
            recorder: Arc::clone(&self.recorder),
            sandbox: Arc::new(sandbox),
            workspace: layout.workspace.clone(),
            layout,
            task: self.row.task,
            name,
            request: self.request().clone(),
            start: start.clone(),
            collected: Mutex::new(None),
        })
    }

    /// Hands the loop what it needs and waits for its end.
    async fn drive(
        &self,
        finish: &Arc<AttemptFinish>,
        start: &StartPoint,
    ) -> Result<End, RunError> {
        let model = match self.worker.models.open(&self.request().model).await {
            Ok(model) => model,
            Err(why) => {
                return Ok(End::Failed { kind: FailureKind::ModelRejected, detail: why });
            }
        };
        let purse = Arc::new(TurnPurse::new(self.request().budget));
        let inputs = StoredInputs::new();
        let store = &self.worker.store;
        inputs.read(store, self.row.id, &purse, &self.cancel).await?;
        let polling = self.poll(Arc::clone(&inputs), Arc::clone(&purse));
        let mut settings = quire_agent::Settings::default();
        if let Some(environment) = &self.request().environment {
            settings.instruction_fallbacks.clone_from(&environment.instruction_fallbacks);
        }
        crate::prepare::WORK.clone_into(&mut settings.overlay);
        let mut earlier = Vec::new();
        for attempt in self.continued.iter().rev() {
            earlier.extend(self.worker.record.events(*attempt).await?);
        }
        let sandbox: Arc<dyn SandboxSource> = Arc::clone(&finish.sandbox);
        let end = quire_agent::run(AttemptRun {
            model,
            journal: Arc::clone(&self.recorder) as Arc<dyn Journal>,
            sandbox,
            finish: Arc::clone(finish) as Arc<dyn Finish>,
            inputs,
            purse,
            instructions: Arc::new(self.instructions(finish)),
            clock: Arc::clone(&self.worker.clock),
            request: self.request().clone(),
            earlier,
            workspace: finish.workspace.clone(),
            start_dir: self.origin.start_dir.clone(),
            branch: start.branch.clone(),
            cache_key: self.row.id.to_string(),
            settings,
            cancel: self.cancel.clone(),
        })
        .await;
        polling.abort();
        Ok(end?)
    }

    /// Asks the store now and then for what people of other processes say, and for what the other
    /// attempts of the turn have spent.
    fn poll(
        &self,
        inputs: Arc<StoredInputs>,
        purse: Arc<TurnPurse>,
    ) -> tokio::task::JoinHandle<()> {
        let store = self.worker.store.clone();
        let (attempt, turn, epoch) = (self.row.id, self.turn.id, self.row.epoch);
        let before = self.row.spent;
        let shared = self.request().attempts > 1;
        let cancel = self.cancel.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                // A store that cannot be read now is read the next time; the lease tells when to
                // give up.
                let _ = inputs.read(&store, attempt, &purse, &cancel).await;
                if !shared {
                    continue;
                }
                let added = purse.added();
                let own = Spent {
                    usage: before.usage.plus(added.usage),
                    cost: quire_domain::budget::MicroDollars(before.cost.0 + added.cost.0),
                    model_calls: before.model_calls + added.model_calls,
                    wall_ms: before.wall_ms,
                };
                if let Ok(all) = store.set_spent(attempt, epoch, own).await {
                    purse.set_others(crate::purse::without(all, &own));
                }
                let _ = turn;
            }
        })
    }

    fn instructions(&self, finish: &AttemptFinish) -> LayerInstructions {
        let checkout = &finish.layout.checkout;
        LayerInstructions {
            tree: checkout.path.clone(),
            paths: checkout.manifest.instruction_files.clone(),
            global: self.worker.place.global_instructions.clone(),
            root: finish.layout.root().map(|(root, home)| RootFiles {
                root,
                home,
                workspace: finish.workspace.clone(),
            }),
        }
    }

    /// Writes the end down: commits, citations, answer, the end itself; then signs.
    async fn conclude(
        &self,
        finish: Option<&Arc<AttemptFinish>>,
        mut ending: Ending,
    ) -> Result<AttemptState, RunError> {
        let mut bodies = Vec::new();
        let mut collected = None;
        if let Some(finish) = finish {
            if self.request().mode == Mode::Code {
                collected = self.collect(finish, &mut ending, &mut bodies).await;
            }
            if let Some((answer, faults)) = ending.answer.take() {
                bodies.extend(self.answered(finish, answer, faults, collected.as_ref()).await);
            }
        }
        let changed = collected.as_ref().is_some_and(|collected| !collected.commits.is_empty());
        if ending.outcome == Outcome::Changed && !changed {
            ending.outcome = Outcome::NoChange;
        }
        let events = self.recorder.events().await?;
        let spent = spent_of(&events, self.worker.clock.now());
        let finished = Finished {
            outcome: ending.outcome.clone(),
            spent,
            diff_stat: collected.as_ref().map(|collected| collected.diff_stat),
            head: collected.as_ref().map(|collected| collected.head.clone()),
            partial: ending.partial && changed,
        };
        let head = finished.head.clone();
        let partial = finished.partial;
        bodies.push(EventBody::Finished(finished));
        self.recorder.append(bodies).await?;
        if let Some(finish) = finish {
            self.end_sandbox(finish).await;
        }
        // Evidence that cannot be written now can be signed later: the log has all of it.
        let sealed = crate::seal::seal(&self.worker, self.row.task, self.row.id).await;
        let final_hash = sealed.is_ok().then(|| self.recorder.last_hash());
        let state = AttemptState::Done { outcome: ending.outcome };
        let result = AttemptResult {
            base: self.request().start.as_ref().map(|start| start.base.clone()),
            head,
            diff_stat: collected.map(|collected| collected.diff_stat),
            checks: crate::seal::checks_of(&events),
            partial,
            final_hash,
        };
        let write = Write {
            state: state.clone(),
            spent,
            result: Some(result),
            now: self.worker.clock.now(),
        };
        self.worker.store.set_state(self.row.id, self.row.epoch, write).await?;
        if self.request().attempts == 1 {
            self.worker.store.choose(self.turn.id, self.row.id).await?;
        }
        Ok(state)
    }

    /// Takes the commits out, also of an attempt that was cut short; what is uncommitted then
    /// becomes a commit of the system's own.
    async fn collect(
        &self,
        finish: &AttemptFinish,
        ending: &mut Ending,
        bodies: &mut Vec<EventBody>,
    ) -> Option<Collected> {
        let work = async {
            let facts = finish.tree_facts().await?;
            let mut by_system = None;
            let mut head = facts.head;
            if !facts.dirty.is_empty()
                && let Some(commit) = finish.commit_the_rest().await?
            {
                by_system = Some(commit.clone());
                head = commit;
            }
            Ok::<_, quire_agent::ContractError>((finish.collect(&head).await?, by_system))
        };
        let cut_short = ending.answer.is_none();
        let result = if cut_short {
            match tokio::time::timeout(PARTIAL_TIME, work).await {
                Ok(result) => result,
                Err(_) => return None,
            }
        } else {
            work.await
        };
        match result {
            Ok((collected, by_system)) => {
                bodies.extend(collected.commits.iter().map(|commit| {
                    let system = by_system.as_ref() == Some(&commit.id);
                    EventBody::Committed(Committed {
                        commit: commit.id.clone(),
                        by: if system { CommitBy::System } else { CommitBy::Agent },
                        subject: commit.subject.clone(),
                    })
                }));
                Some(collected)
            }
            Err(error) => {
                if !cut_short {
                    ending.outcome = Outcome::Failed {
                        kind: FailureKind::CollectFailed,
                        detail: error.to_string(),
                    };
                }
                None
            }
        }
    }

    async fn answered(
        &self,
        finish: &AttemptFinish,
        answer: String,
        faults: Vec<Fault>,
        collected: Option<&Collected>,
    ) -> Vec<EventBody> {
        let changed = collected.map(|collected| collected.changed.clone()).unwrap_or_default();
        let looked = finish.look_at_citations(&answer, &changed).await;
        match looked {
            Ok(looked) => {
                let mut bodies: Vec<EventBody> =
                    looked.citations.into_iter().map(EventBody::Cited).collect();
                bodies.push(EventBody::Answered(Answered { text: looked.text, faults }));
                bodies
            }
            Err(_) => vec![EventBody::Answered(Answered { text: answer, faults })],
        }
    }

    /// Ends the sandbox. Of a turn that keeps changes, what it wrote becomes the layer that
    /// follow-ups go on from.
    async fn end_sandbox(&self, finish: &AttemptFinish) {
        let Ok(sandbox) = finish.sandbox.sandbox().await else { return };
        if self.request().mode.keeps_changes()
            && let Ok(frozen) = sandbox.freeze().await
        {
            // Without it a follow-up starts from the commit alone.
            let _ = crate::prepare::keep_frozen(&self.worker, self.row.id, &frozen);
        }
        let _ = sandbox.end().await;
    }

    async fn write_state(
        &self,
        state: AttemptState,
        result: Option<AttemptResult>,
    ) -> Result<(), RunError> {
        let now = self.worker.clock.now();
        let spent = match &state {
            AttemptState::Working => self.row.spent,
            _ => spent_of(&self.recorder.events().await?, now),
        };
        let write = Write { state, spent, result, now };
        Ok(self.worker.store.set_state(self.row.id, self.row.epoch, write).await?)
    }
}

/// What a log says was spent: every reply, and the time from each claim to its last event.
pub fn spent_of(events: &[Event], now: quire_domain::time::Timestamp) -> Spent {
    let mut spent = Spent::default();
    let mut claim = None;
    let mut last = now;
    for event in events {
        match &event.body {
            EventBody::ModelReplied(replied) => {
                spent.usage = spent.usage.plus(replied.reply.usage);
                spent.cost.0 += replied.cost.unwrap_or_default().0;
                spent.model_calls += 1;
            }
            EventBody::Compacted(compacted) => {
                spent.usage = spent.usage.plus(compacted.spent.usage);
                spent.cost.0 += compacted.spent.cost.0;
                spent.model_calls += compacted.spent.model_calls;
            }
            EventBody::Claimed(_) => {
                if let Some(claimed) = claim.replace(event.at) {
                    spent.wall_ms += last.millis_since(claimed);
                }
            }
            _ => {}
        }
        last = event.at;
    }
    if let Some(claimed) = claim {
        spent.wall_ms += now.max(last).millis_since(claimed);
    }
    spent
}
