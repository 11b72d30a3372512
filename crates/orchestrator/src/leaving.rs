//! How the attempts of a process let go of their work when it is about to leave: first as they come
//! to a step where nothing is lost, then at once. Another process goes on from their logs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// What a process tells all its attempts. One that nobody asks to leave says nothing.
#[derive(Debug, Clone, Default)]
pub struct Leaving {
    asked: CancellationToken,
    at_once: CancellationToken,
}

impl Leaving {
    /// Asks every attempt to let go before its next request to the model; what one is waiting for
    /// it may wait for.
    pub fn ask(&self) {
        self.asked.cancel();
    }

    /// Has every attempt let go wherever it is: as if the process had died, but for its sandbox,
    /// which is ended in order.
    pub fn insist(&self) {
        self.asked.cancel();
        self.at_once.cancel();
    }

    /// Whether they are asked.
    pub fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Returns when they have to let go at once.
    pub async fn insisted(&self) {
        self.at_once.cancelled().await;
    }
}

/// How long an attempt that lets go may take to end its sandbox.
pub const LET_GO: Duration = Duration::from_secs(4);
