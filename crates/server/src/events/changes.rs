//! One task for all who want to hear which tasks changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quire_domain::ids::TaskId;
use quire_store::{ListFilter, Store};

use super::batch::Changed;
use super::queue::{Item, Queue};
use crate::refusal::Result;

/// How often the store is asked at most, while much is committed.
const PAUSE: Duration = Duration::from_millis(20);

/// How often it is asked at least: other processes write too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tasks that are read at once.
const PAGE: u32 = 500;

/// Tells who listens which tasks changed. Asks the store only while somebody does. Cheap to clone.
#[derive(Clone)]
pub(super) struct ChangeFeed {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    listeners: Mutex<Listeners>,
    /// Held while it is started, so that it is started once.
    starting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Listeners {
    runs: bool,
    of_all: Vec<Arc<Queue>>,
    of_one: HashMap<TaskId, Vec<Arc<Queue>>>,
}

/// Somebody who listens, until this is dropped.
pub(super) struct Listening {
    feed: ChangeFeed,
    queue: Arc<Queue>,
    task: Option<TaskId>,
}

impl ChangeFeed {
    pub fn new(store: Store) -> Self {
        let (listeners, starting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { inner: Arc::new(Inner { store, listeners, starting }) }
    }

    /// Puts what changes from now on into `queue`: of one task, or of all. What changed before
    /// this returns may be missing there, and is in the store.
    pub async fn listen(&self, task: Option<TaskId>, queue: &Arc<Queue>) -> Result<Listening> {
        let listening = Listening { feed: self.clone(), queue: queue.clone(), task };
        if self.lock().add_if_it_runs(task, queue) {
            return Ok(listening);
        }
        let _starting = self.inner.starting.lock().await;
        if self.lock().add_if_it_runs(task, queue) {
            return Ok(listening);
        }
        let upto = self.inner.store.newest_change().await?;
        let mut listeners = self.lock();
        listeners.runs = true;
        listeners.add(task, queue);
        drop(listeners);
        tokio::spawn(self.clone().run(upto));
        Ok(listening)
    }

    async fn run(self, mut upto: u64) {
        let mut commits = self.inner.store.commits();
        loop {
            // An error is a store that was closed: the next look says so.
            let _ = tokio::time::timeout(LOOK_EVERY, commits.changed()).await;
            tokio::time::sleep(PAUSE).await;
            commits.mark_unchanged();
            loop {
                if self.lock().rests() {
                    return;
                }
                let all = ListFilter::default();
                let changes = match self.inner.store.changed_since(upto, &all, PAGE).await {
                    Ok(changes) => changes,
                    Err(error) => {
                        tracing::warn!(%error, "what changed cannot be read");
                        tokio::time::sleep(LOOK_EVERY).await;
                        break;
                    }
                };
                upto = changes.upto;
                for listed in changes.tasks {
                    self.lock().tell(&Arc::new(Changed::new(listed)));
                }
                if !changes.more {
                    break;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.inner.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners {
    fn add_if_it_runs(&mut self, task: Option<TaskId>, queue: &Arc<Queue>) -> bool {
        if self.runs {
            self.add(task, queue);
        }
        self.runs
    }

    fn add(&mut self, task: Option<TaskId>, queue: &Arc<Queue>) {
        match task {
            None => self.of_all.push(queue.clone()),
            Some(task) => self.of_one.entry(task).or_default().push(queue.clone()),
        }
    }

    fn remove(&mut self, task: Option<TaskId>, queue: &Arc<Queue>) {
        let is_other = |one: &Arc<Queue>| !Arc::ptr_eq(one, queue);
        let Some(task) = task else { return self.of_all.retain(is_other) };
        if let Some(queues) = self.of_one.get_mut(&task) {
            queues.retain(is_other);
            if queues.is_empty() {
                self.of_one.remove(&task);
            }
        }
    }

    fn tell(&self, row: &Arc<Changed>) {
        let of_one = self.of_one.get(&row.task).into_iter().flatten();
        for queue in self.of_all.iter().chain(of_one) {
            queue.push(Item::Changed(row.clone()));
        }
    }

    /// Whether nobody listens; it does not run any more then.
    fn rests(&mut self) -> bool {
        self.runs = !(self.of_all.is_empty() && self.of_one.is_empty());
        !self.runs
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.feed.lock().remove(self.task, &self.queue);
    }
}
