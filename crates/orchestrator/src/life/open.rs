//! An attempt's sandbox: made, gone on with after a death, or rebuilt where its files are gone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use quire_domain::attempt::Outcome;
use quire_domain::event::{Event, EventBody, Phase, PhaseFinished};
use quire_domain::journal::Journal;
use quire_domain::sandbox::{Sandbox, SandboxError, SandboxSpec, SandboxUser, Upper};
use quire_domain::task::StartPoint;
use quire_git::ResultStore;

use super::Life;
use super::conclude::Ending;
use crate::check_out::{Stand, check_out, unlock};
use crate::checkpoint::newest;
use crate::error::RunError;
use crate::frozen::frozen_layers;
use crate::hold::Hold;
use crate::prepare::{Layout, NotMade, Preparing};
use crate::restore::{Source, Why, event, has_acted};
use crate::time_limits::{self, within};

/// What an attempt works in.
pub(super) type Opened = (Arc<Layout>, Preparing);

impl Life {
    /// The attempt's sandbox over `layout`; another layout where that had to be made anew.
    /// `events` is what the log said before this claim.
    ///
    /// One that is new is made beside the first request. One that goes on is ready when this
    /// returns: what is gone has to be in the record before the model is asked.
    pub(super) async fn open(
        &self,
        start: &StartPoint,
        layout: Arc<Layout>,
        events: &[Event],
    ) -> Result<Result<Opened, Ending>, RunError> {
        let kept = frozen_layers(&self.worker, &self.continued).is_some();
        if kept && !has_acted(events) && !self.upper().exists() {
            let spec = self.spec(&layout);
            let making = Preparing::start(&self.worker, Arc::clone(&self.recorder), spec);
            return Ok(Ok((layout, making)));
        }
        self.open_again(start, layout, events).await
    }

    async fn open_again(
        &self,
        start: &StartPoint,
        layout: Arc<Layout>,
        events: &[Event],
    ) -> Result<Result<Opened, Ending>, RunError> {
        let started = self.worker.clock.now();
        let mut why = Why::NotKept;
        if self.upper().exists() && !self.unfinished().exists() {
            // Also when it was cancelled: what is in it is taken out.
            let making = self.worker.sandboxes.create(self.spec(&layout));
            let made = match within(Phase::Sandbox, time_limits::SANDBOX, making).await {
                Ok(made) => made,
                Err(late) => return self.not_made(started, layout, NotMade::of(&late)).await,
            };
            match made {
                Ok(sandbox) => {
                    // A lock that stays tells the agent itself what to do.
                    let _ = self.cancel.run_until_cancelled(unlock(sandbox.as_ref())).await;
                    self.sandbox_phase(started, Ok(())).await?;
                    return Ok(Ok((layout, Preparing::made(Ok(sandbox)))));
                }
                Err(SandboxError::UpperStale { .. }) => why = Why::MachineWentDown,
                Err(error) => return self.not_made(started, layout, NotMade::of(&error)).await,
            }
        }
        let mut layout = layout;
        if self.upper().exists() {
            let dir = self.worker.place.upper(self.row.id);
            if let Err(error) = self.worker.sandboxes.discard(&dir).await {
                return self.not_made(started, layout, NotMade::of(&error)).await;
            }
            // What was laid out in the same boot as the upper is no better than it.
            layout = match self.layout(start).await? {
                Ok(layout) => Arc::new(layout),
                Err(ending) => return Ok(Err(ending)),
            };
        }
        match self.rebuild(start, &layout, why, events).await? {
            None => Ok(Err(cancelled())),
            Some(Ok(sandbox)) => {
                self.sandbox_phase(started, Ok(())).await?;
                // Only now: until then a death begins anew.
                let _ = std::fs::remove_file(self.unfinished());
                Ok(Ok((layout, Preparing::made(Ok(sandbox)))))
            }
            Some(Err(not_made)) => self.not_made(started, layout, not_made).await,
        }
    }

    /// A fresh sandbox with what was put away of the one before; `None` if it was cancelled.
    async fn rebuild(
        &self,
        start: &StartPoint,
        layout: &Layout,
        why: Why,
        events: &[Event],
    ) -> Result<Option<Result<Arc<dyn Sandbox>, NotMade>>, RunError> {
        let git = &self.worker.git;
        let results = match git.results(self.row.task, &layout.repository).await {
            Ok(results) => results,
            Err(error) => return Ok(Some(Err(NotMade::of(&error)))),
        };
        let put_away = self.checkpoint(&results, start, events).await;
        let (store, source) = if let Some(found) = put_away {
            found
        } else {
            let taken_out = git.received(&results, &self.name()).await.ok().flatten();
            let commit = taken_out.unwrap_or_else(|| start.base.clone());
            (results, Source::Commit(commit))
        };
        let (commit, stand) = match &source {
            Source::Checkpoint { commit, .. } => (commit, Stand::OnTopOfParent),
            Source::Commit(commit) => (commit, Stand::At),
        };
        // Where the layers of the attempts before are there, the tree stands at their end.
        let kept = frozen_layers(&self.worker, &self.continued).is_some();
        let lies = if kept { &start.base } else { &self.origin.layer };
        let made = async {
            let mark = self.unfinished();
            std::fs::write(&mark, "").map_err(|error| NotMade::of(&error))?;
            let making = self.worker.sandboxes.create(self.spec(layout));
            let sandbox = within(Phase::Sandbox, time_limits::SANDBOX, making)
                .await
                .map_err(|late| NotMade::of(&late))?
                .map_err(|error| NotMade::of(&error))?;
            if commit != lies {
                check_out(git, &store, sandbox.as_ref(), lies, commit, stand)
                    .await
                    .map_err(|error| NotMade::of(&error))?;
            }
            Ok(sandbox)
        };
        // An event is never given up in the midst of being written.
        let made = tokio::select! {
            biased;
            made = made => made,
            () = self.cancelled_for(GRACE) => return Ok(None),
        };
        let sandbox = match made {
            Ok(sandbox) => sandbox,
            Err(not_made) => return Ok(Some(Err(not_made))),
        };
        let restored = EventBody::Restored(event(&source, why, events));
        self.recorder.append(vec![restored]).await?;
        Ok(Some(Ok(sandbox)))
    }

    /// The newest checkpoint that is there, whole.
    async fn checkpoint(
        &self,
        results: &ResultStore,
        start: &StartPoint,
        events: &[Event],
    ) -> Option<(ResultStore, Source)> {
        let git = &self.worker.git;
        if !git.keeps_checkpoints(self.row.id) {
            return None;
        }
        let store = git.checkpoints(self.row.id, results).await.ok()?;
        for (event, checkpointed) in newest(events).take(TRIED) {
            let commit = checkpointed.commit.clone();
            if git.has_checkpoint(&store, &start.base, &commit).await {
                return Some((store, Source::Checkpoint { from: event.seq, commit }));
            }
        }
        None
    }

    async fn not_made(
        &self,
        started: quire_domain::time::Timestamp,
        layout: Arc<Layout>,
        not_made: NotMade,
    ) -> Result<Result<Opened, Ending>, RunError> {
        self.sandbox_phase(started, Err(not_made.why.clone())).await?;
        Ok(Ok((layout, Preparing::made(Err(not_made)))))
    }

    async fn sandbox_phase(
        &self,
        started: quire_domain::time::Timestamp,
        made: Result<(), String>,
    ) -> Result<(), RunError> {
        let ms = self.worker.clock.now().millis_since(started);
        let failed = made.is_err();
        let detail = made.err().unwrap_or_else(|| "ready".to_owned());
        let phase = PhaseFinished { phase: Phase::Sandbox, ms, detail, failed };
        Ok(self.recorder.note(vec![EventBody::PhaseFinished(phase)]).await?)
    }

    /// What the attempt left in its sandbox becomes the layer that follow-ups go on from, where a
    /// process died before it could see to that.
    pub(super) async fn keep_what_is_left(&self) {
        let dir = self.worker.place.upper(self.row.id);
        let kept = dir.join("frozen.json").exists() || !self.upper().exists();
        let (false, Some(start)) = (kept, self.request().start.clone()) else { return };
        // Where any of it fails a follow-up starts from the commit alone.
        let Ok(Ok(ground)) = self.ground_quietly().await else { return };
        let Ok(layout) = self.layout_quietly(&start, &ground).await else { return };
        let sandbox = match self.worker.sandboxes.create(self.spec(&layout)).await {
            Ok(sandbox) if !self.unfinished().exists() => sandbox,
            _ => {
                let _ = self.worker.sandboxes.discard(&dir).await;
                return;
            }
        };
        let _ = unlock(sandbox.as_ref()).await;
        self.leave(sandbox.as_ref()).await;
    }

    /// Returns this long after it was cancelled.
    async fn cancelled_for(&self, time: Duration) {
        self.cancel.cancelled().await;
        tokio::time::sleep(time).await;
    }

    /// Holds the files of this attempt and of those it goes on from, as far as there are any.
    pub(super) async fn hold(&self) {
        let own = self.worker.place.upper(self.row.id);
        crate::keep::is_used(&own);
        let before = self.continued.iter().map(|attempt| self.worker.place.upper(*attempt));
        for dir in std::iter::once(own).chain(before) {
            for _ in 0..HOLD_TRIES {
                if let Some(hold) = Hold::shared(&dir) {
                    self.held.lock().unwrap_or_else(PoisonError::into_inner).push(hold);
                    break;
                }
                if !dir.exists() {
                    break;
                }
                // Somebody is about to move it away.
                tokio::time::sleep(HOLD_WAIT).await;
            }
        }
    }

    pub(super) fn spec(&self, layout: &Layout) -> SandboxSpec {
        let spec = layout.spec(self.name(), Upper::Disk(self.upper()), SandboxUser::Agent);
        match self.way_out() {
            Some(way_out) => way_out.added_to(spec),
            None => spec,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("a{}", self.row.id.0.simple())
    }

    pub(super) fn upper(&self) -> PathBuf {
        self.worker.place.upper(self.row.id).join("upper")
    }

    /// There while the upper is being rebuilt: what it holds then is nothing to go on from.
    fn unfinished(&self) -> PathBuf {
        self.worker.place.upper(self.row.id).join("unfinished")
    }
}

/// How long a cancelled attempt may still be rebuilt, so that what it did is taken out.
const GRACE: Duration = Duration::from_millis(1500);

/// How often it is tried to hold files that are being removed: two seconds.
const HOLD_TRIES: u32 = 200;
const HOLD_WAIT: Duration = Duration::from_millis(10);

pub(super) fn cancelled() -> Ending {
    Ending { outcome: Outcome::Cancelled, answer: None, partial: true }
}

/// Checkpoints that are looked at, newest first: one whose pack is damaged is passed over.
const TRIED: usize = 10;
