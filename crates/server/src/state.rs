//! What the routes reach.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request;
use quire_domain::time::Clock;
use quire_engine::{Blobs, Bus, Chunks, EventLog};
use quire_git::Git;
use quire_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::deliver::Notices;
use crate::desk::Desk;
use crate::events::Events;
use crate::guard::Rates;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// What a server is made of: handed in by the composition root.
#[derive(Clone)]
pub struct Parts {
    /// The SQL truth.
    pub store: Store,
    /// The logs of all attempts.
    pub log: Arc<dyn EventLog>,
    /// What is shown at once and not kept.
    pub bus: Arc<dyn Bus>,
    /// Large contents.
    pub blobs: Arc<dyn Blobs>,
    /// What commands printed.
    pub chunks: Chunks,
    /// Reads results; the only way to git.
    pub git: Git,
    /// The folder that holds the signed evidence of attempts.
    pub evidence: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The worker's side.
    pub desk: Arc<dyn Desk>,
    /// Who may come in.
    pub access: Access,
    /// How people are told of what happens.
    pub notices: Notices,
    /// How it behaves.
    pub settings: Settings,
}

/// What the routes reach: the parts, and what the server keeps for itself.
pub struct State {
    parts: Parts,
    pub(crate) rates: Rates,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    /// Readings with git at once: each is a process.
    pub(crate) readings: Semaphore,
    /// Pushes that are taken at once.
    pub(crate) pushes: Semaphore,
    /// Cancelled when the server is to end: streams end then.
    pub(crate) ending: CancellationToken,
}

impl State {
    /// The state of a server.
    pub fn new(parts: Parts) -> Arc<Self> {
        let rates = Rates::new(&parts.settings);
        let events = Events::new(&parts);
        Arc::new(Self {
            parts,
            rates,
            events,
            metrics: Metrics::default(),
            readings: Semaphore::new(4),
            pushes: Semaphore::new(4),
            ending: CancellationToken::new(),
        })
    }
}

impl std::ops::Deref for State {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Gives a route the server's state.
pub struct Here(pub Arc<State>);

impl FromRequestParts<Arc<State>> for Here {
    type Rejection = Infallible;
    async fn from_request_parts(
        _: &mut request::Parts,
        state: &Arc<State>,
    ) -> std::result::Result<Self, Infallible> {
        Ok(Self(state.clone()))
    }
}
