//! The bus: what is shown at once and not kept. Never waits for a viewer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quire_domain::ids::AttemptId;
use quire_domain::journal::Live;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many pieces a viewer may be behind before it misses some.
const BACKLOG: usize = 256;

/// Carries live pieces from the worker of an attempt to those who watch it.
pub trait Bus: Send + Sync {
    /// Shows a piece to whoever watches; at once, also when nobody does or somebody is slow.
    fn publish(&self, attempt: AttemptId, live: Live);

    /// What is shown from now on.
    fn subscribe(&self, attempt: AttemptId) -> LiveFeed;
}

/// What a viewer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A piece.
    Live(Live),
    /// It was too slow and missed so many; what is stored has the whole.
    Missed(u64),
}

/// One viewer's end.
#[derive(Debug)]
pub struct LiveFeed {
    pieces: broadcast::Receiver<Live>,
}

impl LiveFeed {
    /// The next piece; `None` when no more will come. May be cancelled at any time.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.pieces.recv().await {
            Ok(live) => Some(Heard::Live(live)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The bus inside one process.
#[derive(Debug, Default)]
pub struct LocalBus {
    attempts: Mutex<HashMap<AttemptId, broadcast::Sender<Live>>>,
}

impl LocalBus {
    /// A bus that nobody watches yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, broadcast::Sender<Live>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for LocalBus {
    fn publish(&self, attempt: AttemptId, live: Live) {
        let mut attempts = self.lock();
        if let Some(sender) = attempts.get(&attempt)
            && sender.send(live).is_err()
        {
            // The last viewer left: without this the map would grow with every attempt watched.
            attempts.remove(&attempt);
        }
    }

    fn subscribe(&self, attempt: AttemptId) -> LiveFeed {
        let mut attempts = self.lock();
        let sender = attempts.entry(attempt).or_insert_with(|| broadcast::Sender::new(BACKLOG));
        LiveFeed { pieces: sender.subscribe() }
    }
}
