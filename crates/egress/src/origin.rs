//! Which command a connection belongs to: asked when it is accepted, as the answer is gone with the
//! connection, and waited for no longer than a request can bear.

use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use quire_domain::ids::ChunkId;
use tokio::sync::watch;

use crate::audit::Audit;

/// How long finding out may take in all. A record waits for it, no request does.
const FOUND: Duration = Duration::from_secs(1);

/// How long the answer to an allowed request waits for it, at most: a program that has its answer
/// may be gone, and with it what leads to its command.
pub(crate) const BEFORE_ANSWER: Duration = Duration::from_millis(20);

/// The same for a refusal, which nobody is in a hurry for and everybody wants to trace.
pub(crate) const BEFORE_REFUSAL: Duration = Duration::from_millis(150);

/// The command behind a connection, known or being found out.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Known, or known to be unknown.
    Settled(Option<ChunkId>),
    /// Being found out.
    Asked(watch::Receiver<Poll<Option<ChunkId>>>),
}

impl Origin {
    /// Asks for the command behind `port`. In a runtime.
    pub(crate) fn ask(audit: &dyn Audit, port: u16) -> Self {
        let Some(mut asking) = audit.command(port) else { return Self::Settled(None) };
        if let Some(found) = (&mut asking).now_or_never() {
            return Self::Settled(found);
        }
        let (tell, told) = watch::channel(Poll::Pending);
        tokio::spawn(async move {
            let found = tokio::time::timeout(FOUND, asking).await;
            let _ = tell.send(Poll::Ready(found.ok().flatten()));
        });
        Self::Asked(told)
    }

    /// What is known by now.
    pub(crate) fn known(&self) -> Poll<Option<ChunkId>> {
        match self {
            Self::Settled(found) => Poll::Ready(found.clone()),
            Self::Asked(told) => told.borrow().clone(),
        }
    }

    /// Waits until it is known, so long at most.
    pub(crate) async fn within(&self, time: Duration) {
        if self.known().is_pending() {
            let _ = tokio::time::timeout(time, self.found()).await;
        }
    }

    /// Waits until it is known.
    pub(crate) async fn found(&self) -> Option<ChunkId> {
        match self {
            Self::Settled(found) => found.clone(),
            Self::Asked(told) => {
                let mut told = told.clone();
                // Who asks may be gone with the runtime: then nobody knows.
                match told.wait_for(Poll::is_ready).await.as_deref() {
                    Ok(Poll::Ready(found)) => found.clone(),
                    Ok(Poll::Pending) | Err(_) => None,
                }
            }
        }
    }
}
