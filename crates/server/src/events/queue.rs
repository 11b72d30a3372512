//! What waits for one viewer: bounded, and never a reason to wait for whoever fills it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::{Changed, Pieces, Stored};

/// Batches that may wait for a viewer.
const MOST: usize = 256;

/// Bytes that may wait for a viewer, in more than one batch. They are shared with other viewers.
const MOST_BYTES: usize = 8 << 20;

/// Something for a viewer.
#[derive(Clone)]
pub(super) enum Item {
    Stored(Arc<Stored>),
    Live(Arc<Pieces>),
    Changed(Arc<Changed>),
    /// What it was read from failed: the viewer is to come back.
    Broken,
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Stored(batch) => batch.bytes(),
            Self::Live(pieces) => pieces.frames.len(),
            Self::Changed(row) => row.bytes(),
            Self::Broken => 0,
        }
    }
}

/// The viewer was too slow: what waited was dropped.
pub(super) struct Overflow;

/// The queue of one viewer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    over: bool,
}

impl Queue {
    /// Hands something over. At once: where there is no room all that waits is dropped, and the
    /// viewer will be told. What is not stored is left out before it comes to that.
    pub fn push(&self, item: Item) {
        let mut waiting = self.lock();
        if waiting.over {
            return;
        }
        let bytes = item.bytes();
        let (full, half) = (MOST, MOST / 2);
        let too_much = waiting.bytes + bytes > MOST_BYTES && !waiting.items.is_empty();
        if matches!(item, Item::Live(_)) && (waiting.items.len() >= half || too_much) {
            return;
        }
        if waiting.items.len() >= full || too_much {
            *waiting = Waiting { over: true, ..Waiting::default() };
        } else {
            waiting.bytes += bytes;
            waiting.items.push_back(item);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// The next thing; waits for it. May be cancelled without losing any.
    pub async fn next(&self) -> Result<Item, Overflow> {
        loop {
            // For one waiter alone: what was notified before this is kept for it.
            let news = self.news.notified();
            {
                let mut waiting = self.lock();
                if waiting.over {
                    return Err(Overflow);
                }
                if let Some(item) = waiting.items.pop_front() {
                    waiting.bytes -= item.bytes();
                    return Ok(item);
                }
            }
            news.await;
        }
    }

    /// Begins anew, if something was dropped; for who reads from where it all comes from anyway.
    pub fn begin_anew(&self) -> bool {
        std::mem::take(&mut self.lock().over)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
