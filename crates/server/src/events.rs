//! Server-sent events: one reader for each watched attempt, one bounded queue for each viewer.
//!
//! A reader ([`readers`]) follows the log and the live bus of an attempt, gathers what comes within
//! [`WINDOW`] into a batch, writes it in the form of the wire once, and puts it into the queue of
//! each viewer. Another task ([`changes`]) does the same with the rows of tasks that changed. Neither
//! ever waits for a viewer. A viewer ([`task`], [`workspace`]) is driven by its own connection: it
//! first reads from log or store what came before, then takes from its queue.

mod batch;
mod changes;
mod frame;
mod position;
mod queue;
mod readers;
mod reply;
mod rooms;
mod still;
mod task;
mod workspace;

use std::time::Duration;

use crate::settings::Settings;
use crate::state::Parts;

pub(crate) use position::Position;
pub(crate) use reply::reply;
pub(crate) use still::Still;
pub(crate) use task::{From, TaskViewer};
pub(crate) use workspace::WorkspaceViewer;

/// What happens within this time after a batch goes into one further batch.
const WINDOW: Duration = Duration::from_millis(50);

/// Who watches what.
pub(crate) struct Events {
    readers: readers::Readers,
    changes: changes::ChangeFeed,
    pub(crate) rooms: rooms::Rooms,
    known: still::Known,
}

impl Events {
    pub(crate) fn new(parts: &Parts) -> Self {
        let Settings { max_viewers, .. } = parts.settings;
        Self {
            readers: readers::Readers::new(
                parts.log.clone(),
                parts.bus.clone(),
                parts.blobs.clone(),
            ),
            changes: changes::ChangeFeed::new(parts.store.clone()),
            rooms: rooms::Rooms::new(max_viewers),
            known: still::Known::default(),
        }
    }
}
