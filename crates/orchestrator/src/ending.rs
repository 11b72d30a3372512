//! Ends attempts that were cancelled while nobody held them: what they did is taken out, which needs
//! a sandbox. It takes none of the slots, as a cancel is over within seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::life;
use crate::pool::Running;
use crate::worker::Worker;

/// How many are ended at once.
const AT_ONCE: usize = 4;

/// How often it is looked without news.
const LOOK: Duration = Duration::from_secs(1);

/// How long after news it is looked at the earliest.
const GATHER: Duration = Duration::from_millis(20);

/// Ends them until `stop`, and waits for those that were begun.
pub async fn end_cancelled(worker: &Worker, running: &Running, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let begun = TaskTracker::new();
    let mut commits = worker.store.commits();
    while !stop.is_cancelled() {
        commits.mark_unchanged();
        // What cannot be read now is looked at again.
        let waiting = worker.store.to_end(worker.clock.now()).await.unwrap_or_default();
        for attempt in waiting {
            if running.has(attempt) {
                continue;
            }
            let Ok(slot) = Arc::clone(&room).try_acquire_owned() else { break };
            let (worker, at_work) = (worker.clone(), running.begin(attempt));
            begun.spawn(async move {
                let cancel = CancellationToken::new();
                cancel.cancel();
                // One that cannot be ended now is tried again.
                let _ = Box::pin(life::run(&worker, attempt, None, cancel)).await;
                drop((at_work, slot));
            });
        }
        let news = async {
            if timeout(LOOK, commits.changed()).await.is_ok() {
                sleep(GATHER).await;
            }
        };
        let _ = stop.run_until_cancelled(news).await;
    }
    begun.close();
    begun.wait().await;
}
