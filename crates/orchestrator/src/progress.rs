//! How far an attempt is, for those who asked to be told of it: steps of its plan that are done, and
//! that its checks began.
//!
//! At most once: what is told while the store cannot be written, or when the process dies, is lost,
//! as the log has it all.

use std::sync::Arc;

use quire_domain::event::{EventBody, Phase, PlanStatus};
use quire_domain::ids::TaskId;
use quire_domain::time::Clock;
use quire_store::Store;
use tokio::sync::mpsc;

/// News that wait to be written down; what comes on top is left out.
const WAITING: usize = 32;

/// Reads the events of one attempt as they are recorded.
pub struct Progress {
    /// Steps that were done when last told.
    done: usize,
    tell: mpsc::Sender<String>,
}

impl Progress {
    /// Tells those who asked for progress of `task`, until it is dropped.
    pub fn of(task: TaskId, store: Store, clock: Arc<dyn Clock>) -> Self {
        let (tell, mut told) = mpsc::channel::<String>(WAITING);
        tokio::spawn(async move {
            while let Some(news) = told.recv().await {
                if let Err(error) = store.tell_progress(task, &news, clock.now()).await {
                    tracing::warn!(%error, "cannot tell of progress");
                }
            }
        });
        Self { done: 0, tell }
    }

    /// Takes one more event, with what nobody may read taken out of it.
    pub fn heard(&mut self, body: &EventBody) {
        if let Some(news) = news(&mut self.done, body) {
            let _ = self.tell.try_send(news);
        }
    }
}

/// What is new to people in an event, where `done` steps were done before.
fn news(done: &mut usize, body: &EventBody) -> Option<String> {
    match body {
        EventBody::PhaseStarted(started) if started.phase == Phase::Checks => {
            Some("the checks began".to_owned())
        }
        EventBody::PlanUpdated(plan) => {
            let is_done = |status: PlanStatus| status == PlanStatus::Completed;
            let now = plan.steps.iter().filter(|step| is_done(step.status)).count();
            let before = std::mem::replace(done, now);
            let last = plan.steps.iter().rfind(|step| is_done(step.status))?;
            let all = plan.steps.len();
            (now > before).then(|| format!("{now} of {all} steps are done: {}", last.step))
        }
        _ => None,
    }
}
