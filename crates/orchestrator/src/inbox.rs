//! One inbox for all attempts that this process has at work: what people say to them is asked for in
//! one query, when somebody of this process wrote and now and then, as others write too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use quire_domain::ids::{AttemptId, TaskId};
use quire_store::{Store, StoreError};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::inputs::StoredInputs;

/// How often the store is asked at least: bounds how long a word of another process takes.
const AT_LEAST: Duration = Duration::from_millis(500);

/// How often it is asked at most, however much is written.
const AT_MOST: Duration = Duration::from_millis(20);

/// The inbox of one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Inbox {
    shared: Arc<Mutex<Listeners>>,
}

#[derive(Default)]
struct Listeners {
    by_task: HashMap<TaskId, Vec<Listener>>,
    /// Whether somebody reads for them.
    read: bool,
}

/// One attempt that listens.
#[derive(Clone)]
struct Listener {
    attempt: AttemptId,
    inputs: Arc<StoredInputs>,
    cancel: CancellationToken,
}

/// An attempt's place in the inbox; given up when dropped.
pub struct Listening {
    shared: Arc<Mutex<Listeners>>,
    task: TaskId,
    attempt: AttemptId,
}

impl Inbox {
    /// Has everything that is said to an attempt reach `inputs`, beginning with what was said so
    /// far, which is there when this returns. A cancel cancels `cancel` too.
    ///
    /// # Errors
    ///
    /// Where what was said so far cannot be read. Later it is tried again until it can.
    pub async fn listen(
        &self,
        store: &Store,
        (task, attempt): (TaskId, AttemptId),
        inputs: &Arc<StoredInputs>,
        cancel: &CancellationToken,
    ) -> Result<Listening, StoreError> {
        let from = store.newest_change().await?;
        let listener = Listener { attempt, inputs: Arc::clone(inputs), cancel: cancel.clone() };
        let first = {
            let mut listeners = lock(&self.shared);
            listeners.by_task.entry(task).or_default().push(listener.clone());
            !std::mem::replace(&mut listeners.read, true)
        };
        let listening = Listening { shared: Arc::clone(&self.shared), task, attempt };
        if first {
            let reader = Reader { store: store.clone(), shared: Arc::downgrade(&self.shared) };
            tokio::spawn(reader.read(from));
        }
        listener.read(store).await?;
        Ok(listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = lock(&self.shared);
        if let Some(of_task) = listeners.by_task.get_mut(&self.task) {
            of_task.retain(|listener| listener.attempt != self.attempt);
            if of_task.is_empty() {
                listeners.by_task.remove(&self.task);
            }
        }
    }
}

impl Listener {
    async fn read(&self, store: &Store) -> Result<(), StoreError> {
        self.inputs.read_all(store, self.attempt).await?;
        if self.inputs.is_cancelled() {
            self.cancel.cancel();
        }
        Ok(())
    }
}

struct Reader {
    store: Store,
    shared: Weak<Mutex<Listeners>>,
}

impl Reader {
    /// Reads until nobody listens any more.
    async fn read(self, mut after: u64) {
        let mut commits = self.store.commits();
        loop {
            let looked = Instant::now();
            // One that cannot be read now is read the next time; the lease tells when to give up.
            if let Ok(upto) = self.look(after).await {
                after = upto;
            }
            {
                let Some(shared) = self.shared.upgrade() else { return };
                let mut listeners = lock(&shared);
                if listeners.by_task.is_empty() {
                    listeners.read = false;
                    return;
                }
            }
            let _ = timeout_at(looked + AT_LEAST, commits.changed()).await;
            sleep_until(looked + AT_MOST).await;
        }
    }

    /// Reads what is new of the tasks that changed after `after`; gives up to where it got.
    async fn look(&self, after: u64) -> Result<u64, StoreError> {
        let mut upto = after;
        for spoken in self.store.spoken_since(after).await? {
            let Some(shared) = self.shared.upgrade() else { return Ok(upto) };
            let here = lock(&shared).by_task.get(&spoken.task).cloned().unwrap_or_default();
            for listener in here {
                if listener.inputs.newest_seen() < spoken.newest {
                    listener.read(&self.store).await?;
                }
            }
            upto = spoken.changed;
        }
        Ok(upto)
    }
}

fn lock(of: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
