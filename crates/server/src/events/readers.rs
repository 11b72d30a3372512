//! One reader for each attempt that somebody watches: it follows the log and the live bus.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use quire_domain::ids::{AttemptId, Seq};
use quire_domain::journal::Live;
use quire_engine::{Blobs, Bus, EventLog, Heard, LiveFeed, LogError, StoredEvent, Watch};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::WINDOW;
use super::batch::{Pieces, Stored};
use super::queue::{Item, Queue};
use crate::log;
use crate::refusal::{Refusal, Result};

/// What is gathered goes out when it has this many bytes, whatever the time.
const FULL: usize = 256 << 10;

/// Bytes of output that are shown within one window. Nobody reads more of it as it runs by, and the
/// whole is in its chunk.
const MOST_OUTPUT: usize = 64 << 10;

/// After so many pieces at a stretch the log gets its turn.
const MOST_PIECES: u32 = 256;

/// The readers of all watched attempts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Readers {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn EventLog>,
    bus: Arc<dyn Bus>,
    blobs: Arc<dyn Blobs>,
    watched: Mutex<HashMap<AttemptId, Arc<Watched>>>,
}

/// An attempt that somebody watches.
struct Watched {
    viewers: Mutex<Vec<Arc<Queue>>>,
    /// Set once the reader knows where it begins: what is stored from there on, it hands out.
    begun: OnceCell<()>,
    stop: CancellationToken,
}

/// A viewer of an attempt; it stops being one when this is dropped.
pub(super) struct Watching {
    readers: Readers,
    attempt: AttemptId,
    watched: Arc<Watched>,
    queue: Arc<Queue>,
}

impl Readers {
    pub fn new(log: Arc<dyn EventLog>, bus: Arc<dyn Bus>, blobs: Arc<dyn Blobs>) -> Self {
        Self { inner: Arc::new(Inner { log, bus, blobs, watched: Mutex::default() }) }
    }

    /// Puts what is stored and shown from now on into `queue`. What was stored before this returns
    /// may be missing there, and is in the log.
    pub async fn watch(&self, attempt: AttemptId, queue: &Arc<Queue>) -> Result<Watching> {
        let watched = {
            let mut all = self.lock();
            let watched = all.entry(attempt).or_insert_with(|| {
                Arc::new(Watched {
                    viewers: Mutex::default(),
                    begun: OnceCell::new(),
                    stop: CancellationToken::new(),
                })
            });
            watched.lock().push(queue.clone());
            watched.clone()
        };
        let watching = Watching { readers: self.clone(), attempt, watched, queue: queue.clone() };
        // Whoever is first starts it. One that goes away meanwhile leaves it to the next.
        watching.watched.begun.get_or_try_init(|| self.begin(attempt, &watching.watched)).await?;
        Ok(watching)
    }

    async fn begin(&self, attempt: AttemptId, watched: &Arc<Watched>) -> Result<()> {
        let feed = self.inner.bus.subscribe(attempt);
        let head = self.inner.log.head(attempt).await?;
        let reader = Reader {
            inner: self.inner.clone(),
            attempt,
            watched: watched.clone(),
            last: head.seq.0,
            parts: Vec::new(),
            bytes: 0,
            output: 0,
        };
        tokio::spawn(
            reader.read(feed, Watch::new(self.inner.log.clone(), attempt, Seq(head.seq.0 + 1))),
        );
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AttemptId, Arc<Watched>>> {
        self.inner.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Queue>>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, item: &Item) {
        for viewer in self.lock().iter() {
            viewer.push(item.clone());
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut all = self.readers.lock();
        let nobody = {
            let mut viewers = self.watched.lock();
            viewers.retain(|viewer| !Arc::ptr_eq(viewer, &self.queue));
            viewers.is_empty()
        };
        if nobody {
            self.watched.stop.cancel();
            // Another may stand in its place by now, after this one broke.
            if all.get(&self.attempt).is_some_and(|one| Arc::ptr_eq(one, &self.watched)) {
                all.remove(&self.attempt);
            }
        }
    }
}

/// What was gathered, in its order.
enum Part {
    Live(u64, Vec<Live>),
    Stored(Vec<StoredEvent>),
}

/// One reader.
struct Reader {
    inner: Arc<Inner>,
    attempt: AttemptId,
    watched: Arc<Watched>,
    /// The last event that was heard of.
    last: u64,
    parts: Vec<Part>,
    bytes: usize,
    /// Bytes of output that came since the last batch.
    output: usize,
}

impl Reader {
    /// Reads until nobody watches any more.
    async fn read(mut self, mut feed: LiveFeed, mut watch: Watch) {
        let stop = self.watched.stop.clone();
        let mut live = true;
        let mut pieces = 0;
        // The first of what comes after a pause goes out at once.
        let mut next = Instant::now();
        loop {
            if pieces >= MOST_PIECES {
                pieces = 0;
                if let Some(Ok(events)) = watch.next().now_or_never() {
                    self.stored(events);
                }
            }
            let waits = !self.parts.is_empty();
            let ended = tokio::select! {
                // Pieces of a reply are shown before it is stored: they have to come first here.
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(next), if waits => {
                    next = Instant::now() + WINDOW;
                    self.hand_out().await
                }
                heard = feed.next(), if live => {
                    match heard {
                        Some(Heard::Live(piece)) => {
                            pieces += 1;
                            self.shown(piece);
                        }
                        Some(Heard::Missed(_)) => {}
                        None => live = false,
                    }
                    Ok(())
                }
                events = watch.next() => {
                    pieces = 0;
                    events.map(|events| self.stored(events))
                }
            };
            let ended = match ended {
                Ok(()) if self.bytes > FULL => self.hand_out().await,
                ended => ended,
            };
            if let Err(error) = ended {
                tracing::warn!(attempt = %self.attempt, %error, "a log cannot be followed");
                self.break_off();
                return;
            }
        }
    }

    fn shown(&mut self, piece: Live) {
        if let Live::Output { text, .. } = &piece {
            self.output += text.len();
            if self.output > MOST_OUTPUT {
                return;
            }
        }
        self.bytes += match &piece {
            Live::Text { text } | Live::Reasoning { text } | Live::Output { text, .. } => {
                text.len()
            }
            _ => 0,
        };
        match self.parts.last_mut() {
            Some(Part::Live(_, pieces)) => pieces.push(piece),
            _ => self.parts.push(Part::Live(self.last, vec![piece])),
        }
    }

    fn stored(&mut self, events: Vec<StoredEvent>) {
        self.bytes += events.iter().map(|event| event.body.len()).sum::<usize>();
        self.last = events.last().map_or(self.last, |event| event.seq.0);
        match self.parts.last_mut() {
            Some(Part::Stored(before)) => before.extend(events),
            _ => self.parts.push(Part::Stored(events)),
        }
    }

    /// Writes what was gathered, and gives it to all viewers.
    async fn hand_out(&mut self) -> std::result::Result<(), LogError> {
        (self.bytes, self.output) = (0, 0);
        for part in std::mem::take(&mut self.parts) {
            let item = match part {
                Part::Live(after, pieces) => {
                    Item::Live(Arc::new(Pieces::new(self.attempt, after, pieces)))
                }
                Part::Stored(stored) => {
                    let mut events = Vec::with_capacity(stored.len());
                    for one in stored {
                        let opened = log::open(self.inner.blobs.as_ref(), one).await;
                        events.push(opened.map_err(|refusal: Refusal| {
                            LogError::Damaged(refusal.problem().detail.clone())
                        })?);
                    }
                    Item::Stored(Arc::new(Stored::new(self.attempt, events)))
                }
            };
            self.watched.tell(&item);
        }
        Ok(())
    }

    /// Sends all viewers away to come back, and whoever comes next to a new reader.
    fn break_off(&self) {
        let mut all = self.inner.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.attempt).is_some_and(|one| Arc::ptr_eq(one, &self.watched)) {
            all.remove(&self.attempt);
        }
        self.watched.tell(&Item::Broken);
    }
}
