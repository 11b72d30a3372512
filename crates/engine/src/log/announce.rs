//! Tells those who watch a log in this process what was appended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_domain::ids::AttemptId;
use tokio::sync::broadcast;

use super::{Batch, StoredEvent};

/// How many batches a watcher may be behind before it has to read the log again.
const BACKLOG: usize = 16;

type Watched = HashMap<AttemptId, broadcast::Sender<Batch>>;

/// The attempts that somebody watches.
#[derive(Clone, Default)]
pub(super) struct Announcements(Arc<Mutex<Watched>>);

impl Announcements {
    /// What is appended to the log of `attempt` from now on.
    pub(super) fn subscribe(&self, attempt: AttemptId) -> broadcast::Receiver<Batch> {
        let mut watched = self.lock();
        watched.entry(attempt).or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    /// Tells whoever watches. In the order of the log, after the commit.
    pub(super) fn tell(&self, attempt: AttemptId, events: Vec<StoredEvent>) {
        let mut watched = self.lock();
        let Some(sender) = watched.get(&attempt) else { return };
        if sender.receiver_count() == 0 {
            // The last one left: without this the map would grow with every attempt watched.
            watched.remove(&attempt);
        } else {
            let _ = sender.send(events.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
