//! Attempts of one turn at work in this process: started, watched, and waited for.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::event::Event;
use quire_domain::ids::{AttemptId, Epoch, Seq};
use quire_domain::journal::Live;
use quire_engine::{Heard, Watch};
use quire_orchestrator::error::RunError;
use quire_orchestrator::keep::{Keep, sweep};
use quire_orchestrator::seen::Seen;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::installation::Installation;
use crate::settings::Settings;

/// What is shown may be this far behind before the watchers wait.
pub const BACKLOG: usize = 1_024;

/// How often the line that moves is drawn anew.
pub const TICK: Duration = Duration::from_millis(250);

/// How long after its attempt's end a watcher has to show what was written last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Something that happened in an attempt, to be shown.
pub struct Shown {
    /// Which task it belongs to, as whoever started it counts them.
    pub task: usize,
    /// The attempt's place in its turn, from 0.
    pub attempt: usize,
    /// What happened.
    pub what: What,
}

/// What happened.
pub enum What {
    /// An event of the log.
    Event(Box<Event>),
    /// Something that is not kept.
    Live(Live),
}

/// Runs attempts to their ends and tells what happens in them; gives where each then stands.
/// Everything was told by then, as long as `tell` is listened to.
pub async fn run_attempts(
    installation: &Installation,
    task: usize,
    attempts: &[Attempt],
    seen: Option<Arc<Seen>>,
    cancel: CancellationToken,
    tell: mpsc::Sender<Shown>,
) -> Vec<Result<AttemptState, RunError>> {
    let mut running = Vec::new();
    for (index, attempt) in attempts.iter().enumerate() {
        // Of an attempt that goes on, what is new: the rest was shown before. One that nobody
        // claimed yet has no log.
        let from = if attempt.epoch == Epoch(0) {
            Seq(1)
        } else {
            let head = installation.worker.record.log.head(attempt.id).await;
            Seq(head.map_or(0, |head| head.seq.0) + 1)
        };
        let teller = Teller { task, attempt: index, tell: tell.clone() };
        let mut watching = watch(installation, attempt.id, from, teller);
        let worker = installation.worker.clone();
        let (id, seen, cancel) = (attempt.id, seen.clone(), cancel.clone());
        let life = tokio::spawn(async move {
            Box::pin(quire_orchestrator::life::run(&worker, id, seen, cancel)).await
        });
        running.push(async move {
            let ended = life.await;
            // The watcher ends with the log; of an attempt that broke off, the log has no end.
            if tokio::time::timeout(LAST_WORDS, &mut watching).await.is_err() {
                watching.abort();
            }
            ended.unwrap_or_else(|error| {
                Err(RunError::Origin(format!("the attempt's task broke off: {error}")))
            })
        });
    }
    drop(tell);
    futures::future::join_all(running).await
}

/// What is kept, and for how long.
pub fn keep_of(settings: &Settings) -> Keep {
    Keep {
        hours: settings.keep_hours.value,
        cut_off_hours: settings.keep_cut_off_hours.value,
        sandbox_bytes: settings.sandboxes_gib.value << 30,
        layer_bytes: settings.layers_gib.value << 30,
        snapshot_bytes: settings.snapshots_gib.value << 30,
    }
}

/// Removes what is no longer to be kept, beside the work. Abort it when the work has ended.
pub fn sweep_meanwhile(installation: &Installation) -> JoinHandle<()> {
    let worker = installation.worker.clone();
    let keep = keep_of(&installation.settings);
    tokio::spawn(async move {
        // The first request goes first.
        tokio::time::sleep(Duration::from_secs(1)).await;
        sweep(&worker, keep).await;
    })
}

/// Whom a watcher tells what, and of whom.
struct Teller {
    task: usize,
    attempt: usize,
    tell: mpsc::Sender<Shown>,
}

impl Teller {
    fn shown(&self, what: What) -> Shown {
        Shown { task: self.task, attempt: self.attempt, what }
    }

    /// Whether somebody still listens.
    async fn event(&self, event: Event) -> bool {
        self.tell.send(self.shown(What::Event(Box::new(event)))).await.is_ok()
    }

    /// Live pieces never hold up events.
    fn live(&self, live: Live) {
        let _ = self.tell.try_send(self.shown(What::Live(live)));
    }
}

/// Tells an attempt's events from the number `from` on, and what is not kept, until its end.
fn watch(
    installation: &Installation,
    attempt: AttemptId,
    from: Seq,
    teller: Teller,
) -> JoinHandle<()> {
    let record = installation.worker.record.clone();
    let mut feed = record.bus.subscribe(attempt);
    tokio::spawn(async move {
        let mut watch = Watch::new(Arc::clone(&record.log), attempt, from);
        loop {
            tokio::select! {
                stored = watch.next() => {
                    let Ok(batch) = stored else { return };
                    for stored in batch {
                        let last = matches!(stored.kind.as_str(), "finished" | "suspended" | "waiting");
                        let Ok(event) = record.open_event(stored).await else { return };
                        if !teller.event(event).await || last {
                            return;
                        }
                    }
                }
                heard = feed.next() => match heard {
                    Some(Heard::Live(live)) => teller.live(live),
                    Some(Heard::Missed(_)) => {}
                    None => return,
                }
            }
        }
    })
}
