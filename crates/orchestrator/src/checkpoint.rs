//! Checkpoints: while an attempt works its working tree is put away outside the sandbox, so that
//! there is something to go on from when the machine goes down or the sandbox is no longer kept.
//!
//! In the background, some seconds after something may have changed, and never on the path of the
//! next model call. Why then and how is in `docs/design/checkpoints.md`.

mod take;

use std::sync::Arc;
use std::time::Duration;

use quire_domain::event::{Checkpointed, Event, EventBody, Phase, PhaseFinished};
use quire_domain::ids::CommitId;
use quire_domain::journal::{Journal, JournalError};
use quire_git::ResultStore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::take::{Last, Taken, take};
use crate::finish::AttemptFinish;
use crate::recorder::Touched;

/// What an attempt may put away in all.
const MOST_BYTES: u64 = 1 << 30;

/// While a command goes on and nothing else happens, this much apart.
const WHILE_RUNNING: Duration = Duration::from_secs(30);

/// The next one waits this many times as long as the last one took: 5 % of the time at most.
const SHARE: u32 = 20;

/// Where one fails the next waits twice as long, up to this.
const LONGEST: Duration = Duration::from_mins(5);

/// The checkpoints of an attempt at work.
pub struct Checkpoints {
    cancel: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins to put away what changes, `after` this long. `events` is the log so far.
    pub fn start(finish: &Arc<AttemptFinish>, after: Duration, events: &[Event]) -> Self {
        let cancel = CancellationToken::new();
        let keeper = Keeper {
            finish: Arc::clone(finish),
            after,
            cancel: cancel.clone(),
            store: None,
            last: newest(events).map(|(_, checkpointed)| checkpointed.commit.clone()).next(),
            held: None,
            bytes: 0,
            told: String::new(),
        };
        Self { cancel, keeper: tokio::spawn(keeper.run()) }
    }

    /// Stops at once: what is under way is given up. Nothing of it is written down after this.
    pub async fn stop(self) {
        self.cancel.cancel();
        // A task that broke off has nothing to tell.
        let _ = self.keeper.await;
    }
}

/// The checkpoints in a log, newest first, each with its event.
pub fn newest(events: &[Event]) -> impl Iterator<Item = (&Event, &Checkpointed)> {
    events.iter().rev().filter_map(|event| match &event.body {
        EventBody::Checkpointed(checkpointed) => Some((event, checkpointed)),
        _ => None,
    })
}

/// Puts away, again and again.
struct Keeper {
    finish: Arc<AttemptFinish>,
    after: Duration,
    cancel: CancellationToken,
    store: Option<ResultStore>,
    /// The last one, which the next is packed on top of.
    last: Option<CommitId>,
    /// What it held: its tree and its parent.
    held: Option<(CommitId, CommitId)>,
    bytes: u64,
    /// What was last said to be wrong.
    told: String,
}

/// Nothing more is put away.
struct Over;

impl Keeper {
    /// Until it is told to stop. An event that is being written is written to its end: what is
    /// hashed onto it would have no place otherwise.
    async fn run(mut self) {
        let cancel = self.cancel.clone();
        let mut touched = self.finish.recorder.touched();
        let mut covered = touched.borrow().steps;
        let mut wait = self.after;
        loop {
            let due = async {
                let changed = |now: &Touched| now.steps != covered || !now.running.is_empty();
                let steps = touched.wait_for(changed).await.ok()?.steps;
                sleep(if steps == covered { wait.max(WHILE_RUNNING) } else { wait }).await;
                Some(())
            };
            let Some(Some(())) = cancel.run_until_cancelled(due).await else { return };
            covered = touched.borrow_and_update().steps;
            let began = Instant::now();
            let Some(taken) = cancel.run_until_cancelled(self.take()).await else { return };
            let good = taken.is_ok();
            if self.record(taken, millis(began)).await.is_err() {
                return;
            }
            wait = (began.elapsed() * SHARE).clamp(self.after, LONGEST.max(self.after));
            if !good {
                wait = (wait * 2).min(LONGEST);
            }
        }
    }

    async fn take(&mut self) -> Result<Taken, String> {
        let store = self.store().await?;
        let last = Last { commit: self.last.as_ref(), held: self.held.as_ref() };
        take(&self.finish, &store, last, MOST_BYTES.saturating_sub(self.bytes)).await
    }

    async fn record(&mut self, taken: Result<Taken, String>, ms: u64) -> Result<(), Over> {
        match taken {
            Ok(Taken::Same { left_out, .. }) if left_out.is_empty() => Ok(()),
            Ok(Taken::Same { left_out, more }) => {
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let text = format!("left out: {}{more}", left_out.join(", "));
                self.tell(false, text, ms).await
            }
            Ok(Taken::New { commit, held, bytes, left_out, more }) => {
                self.bytes += bytes;
                self.held = Some(held);
                self.last = Some(commit.clone());
                let checkpointed = Checkpointed { commit, bytes, ms, left_out, more };
                self.append(EventBody::Checkpointed(checkpointed)).await
            }
            Err(why) => self.tell(true, why, ms).await,
        }
    }

    async fn store(&mut self) -> Result<ResultStore, String> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let results = self.finish.results().await.map_err(|error| error.to_string())?;
        let attempt = self.finish.attempt;
        let store = self.finish.worker.git.checkpoints(attempt, &results).await;
        let store = store.map_err(|error| crate::prepare::causes(&error))?;
        if let Some(last) = &self.last
            && !self.finish.worker.git.has_checkpoint(&store, self.finish.base(), last).await
        {
            self.last = None;
        }
        self.store = Some(store.clone());
        Ok(store)
    }

    /// Says once what is wrong or not in it.
    async fn tell(&mut self, failed: bool, detail: String, ms: u64) -> Result<(), Over> {
        if self.told == detail {
            return Ok(());
        }
        self.told.clone_from(&detail);
        let phase = PhaseFinished { phase: Phase::Checkpoint, ms, detail, failed };
        self.append(EventBody::PhaseFinished(phase)).await
    }

    async fn append(&self, body: EventBody) -> Result<(), Over> {
        match self.finish.recorder.append(vec![body]).await {
            Err(JournalError::Fenced) => Err(Over),
            // The loop meets it at its own next write.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
