//! What is kept and what goes: sandboxes of tasks that nobody went on with for long, checkout
//! layers used longest ago, and what processes that died left behind. All of it is cache: nothing
//! that a person was shown is lost with it.
//!
//! What the turns of a task wrote lies in layers on top of one another, so it goes together.

mod size;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use quire_domain::attempt::{Attempt, AttemptState};
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::time::Timestamp;
use quire_environment::snapshot::Snapshots;

use crate::bases;
use crate::hold::Hold;
use crate::lease::is_gone;
use crate::life::trial;
use crate::prepare::pinned;
use crate::worker::Worker;

/// How long, and how much.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Hours that the sandbox of a task that ended is kept for follow-ups.
    pub hours: u64,
    /// Hours that one is kept whose attempt was cut off or stands still.
    pub cut_off_hours: u64,
    /// Bytes of kept sandboxes.
    pub sandbox_bytes: u64,
    /// Bytes of checkout layers.
    pub layer_bytes: u64,
    /// Bytes of snapshots.
    pub snapshot_bytes: u64,
}

/// The sandboxes of one task.
#[derive(Debug)]
struct Kept {
    task: TaskId,
    dirs: Vec<PathBuf>,
    /// When something of the task last changed.
    last: Timestamp,
    /// Whether an attempt has not ended.
    unfinished: bool,
    /// Whether a living process works on one.
    at_work: bool,
    archived: bool,
}

impl Kept {
    /// Whether its time is over.
    fn is_over(&self, keep: Keep, now: Timestamp) -> bool {
        let hours = match (self.unfinished, self.archived) {
            (true, _) => keep.cut_off_hours,
            (false, true) => 0,
            (false, false) => keep.hours,
        };
        !self.at_work && now >= self.last.plus_millis(hours.saturating_mul(3_600_000))
    }
}

/// Removes what is no longer to be kept. Run it beside the work: failures are left for the next
/// time.
pub async fn sweep(worker: &Worker, keep: Keep) {
    let _ = worker.sandboxes.sweep().await;
    let _ = worker.git.sweep().await;
    crate::captures::prune(worker).await;
    let found = find(worker).await;
    let now = worker.clock.now();
    let mut left = Vec::new();
    for kept in found.kept {
        if !(kept.is_over(keep, now) && remove(worker, &kept).await) {
            left.push(kept);
        }
    }
    let left = within_budget(worker, left, keep.sandbox_bytes).await;
    drop_old_checkpoints(worker, keep, now).await;
    let mut in_use = found.layers;
    for dir in left.iter().flat_map(|kept| &kept.dirs) {
        in_use.extend(layer_below(dir));
    }
    let _ = worker.git.evict(keep.layer_bytes, &in_use).await;
    let mut stood_on = found.snapshots;
    stood_on.extend(left.iter().flat_map(|kept| &kept.dirs).filter_map(|dir| pinned(dir)));
    let snapshots = Snapshots::new(&worker.place.data_dir);
    let sandboxes = worker.sandboxes.as_ref();
    snapshots.sweep(sandboxes).await;
    snapshots.evict(sandboxes, keep.snapshot_bytes, &stood_on, now).await;
    let mut bases = found.bases;
    bases.extend(left.iter().flat_map(|kept| &kept.dirs).flat_map(|dir| bases::pinned(dir)));
    bases::evict(worker, &bases).await;
}

/// The names of the snapshots that what is kept stands on.
pub async fn snapshots_in_use(worker: &Worker) -> BTreeSet<String> {
    let found = find(worker).await;
    let mut in_use = found.snapshots;
    in_use.extend(found.kept.iter().flat_map(|kept| &kept.dirs).filter_map(|dir| pinned(dir)));
    in_use
}

/// Removes the sandboxes of a task that has ended. Whether there is nothing of them any more.
pub async fn forget(worker: &Worker, task: TaskId) -> bool {
    let found = find(worker).await;
    match found.kept.iter().find(|kept| kept.task == task) {
        None => true,
        Some(kept) => !kept.unfinished && !kept.at_work && remove(worker, kept).await,
    }
}

/// Notes that somebody works in the files of an attempt: their size is no longer known.
pub fn is_used(dir: &Path) {
    size::forget(dir);
}

/// What lies in the directory of uppers.
#[derive(Default)]
struct Found {
    kept: Vec<Kept>,
    /// Layers beneath what is not known here.
    layers: Vec<String>,
    /// The snapshots beneath it.
    snapshots: BTreeSet<String>,
    /// The layers of images beneath it.
    bases: Vec<PathBuf>,
}

impl Found {
    /// Notes what the files in `dir` stand on.
    fn note(&mut self, dir: &Path) {
        self.layers.extend(layer_below(dir));
        self.snapshots.extend(pinned(dir));
        self.bases.extend(bases::pinned(dir));
    }
}

async fn find(worker: &Worker) -> Found {
    let mut found = Found::default();
    let uppers = worker.place.data_dir.join("uppers");
    let Ok(entries) = std::fs::read_dir(&uppers) else { return found };
    let mut by_task: BTreeMap<TaskId, Vec<PathBuf>> = BTreeMap::new();
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        match AttemptId::from_str(name) {
            Ok(attempt) => match worker.store.attempt_by_id(attempt).await {
                Ok(row) => by_task.entry(row.task).or_default().push(path),
                Err(_) if trial::is_over(&path, &worker.place.host) => {
                    let _ = worker.sandboxes.discard(&path).await;
                }
                // One that cannot be read now is none of ours to remove.
                Err(_) => found.note(&path),
            },
            // A throw-away sandbox, named by its process.
            Err(_) if is_living(name) => found.note(&path),
            Err(_) => {
                let _ = worker.sandboxes.discard(&path).await;
            }
        }
    }
    for (task, dirs) in by_task {
        match about(worker, task, dirs.clone()).await {
            Some(kept) => found.kept.push(kept),
            None => dirs.iter().for_each(|dir| found.note(dir)),
        }
    }
    found
}

async fn about(worker: &Worker, task: TaskId, dirs: Vec<PathBuf>) -> Option<Kept> {
    let store = &worker.store;
    let archived = store.task_by_id(task).await.ok()?.archived_at.is_some();
    let mut attempts: Vec<Attempt> = Vec::new();
    for turn in store.turns(task).await.ok()? {
        attempts.extend(store.attempts(turn.id).await.ok()?);
    }
    let mut at_work = false;
    let mut unfinished = false;
    for attempt in &attempts {
        if !matches!(attempt.state, AttemptState::Done { .. }) {
            unfinished = true;
            at_work |= is_at_work(worker, attempt.id).await;
        }
    }
    let last = attempts.iter().map(|attempt| attempt.updated_at).max()?;
    Some(Kept { task, dirs, last, unfinished, at_work, archived })
}

/// Removes them all, unless one is used. Whether they are gone.
async fn remove(worker: &Worker, kept: &Kept) -> bool {
    let held: Option<Vec<Hold>> = kept.dirs.iter().map(|dir| Hold::alone(dir)).collect();
    let Some(_held) = held else { return false };
    for dir in &kept.dirs {
        if worker.sandboxes.discard(dir).await.is_err() {
            return false;
        }
    }
    true
}

/// Removes those used longest ago until the others have `budget` bytes at most: first those that
/// ended, then those that were cut off. Gives what is left.
async fn within_budget(worker: &Worker, kept: Vec<Kept>, budget: u64) -> Vec<Kept> {
    let mut sized = Vec::new();
    for kept in kept {
        // What is being written counts when it is not any more.
        let mut bytes = 0_u64;
        if !kept.at_work {
            for dir in &kept.dirs {
                bytes = bytes.saturating_add(size::of(dir.clone()).await);
            }
        }
        sized.push((kept, bytes));
    }
    let mut total: u64 = sized.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
    sized.sort_by_key(|(kept, _)| (kept.unfinished, kept.last));
    let mut left = Vec::new();
    for (kept, bytes) in sized {
        if total > budget && !kept.at_work && remove(worker, &kept).await {
            total = total.saturating_sub(bytes);
        } else {
            left.push(kept);
        }
    }
    left
}

/// Checkpoints of attempts that ended: what they held is in the result, or was kept as long as
/// the sandbox.
async fn drop_old_checkpoints(worker: &Worker, keep: Keep, now: Timestamp) {
    for attempt in worker.git.with_checkpoints() {
        let Ok(row) = worker.store.attempt_by_id(attempt).await else { continue };
        let taken_out = row.result.as_ref().is_some_and(|result| result.head.is_some());
        let until = row.updated_at.plus_millis(keep.hours.saturating_mul(3_600_000));
        let ended = matches!(row.state, AttemptState::Done { .. });
        if ended && (taken_out || now >= until) {
            let _ = worker.git.drop_checkpoints(attempt).await;
        }
    }
}

/// The checkout layer beneath an attempt's files.
fn layer_below(dir: &Path) -> Option<String> {
    std::fs::read_to_string(dir.join("layer")).ok()
}

/// Whether the process of a throw-away sandbox, `…-<pid>`, lives.
fn is_living(name: &str) -> bool {
    name.rsplit('-')
        .next()
        .is_some_and(|pid| pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists())
}

/// Whether a process that may live works on an attempt.
async fn is_at_work(worker: &Worker, attempt: AttemptId) -> bool {
    match worker.store.lease(attempt).await {
        Ok(Some(lease)) => !is_gone(&lease.worker, &worker.place.host),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Whether an attempt that is said to be at work is not: its process is gone.
pub async fn is_cut_off(worker: &Worker, attempt: AttemptId) -> bool {
    let lease = worker.store.lease(attempt).await;
    matches!(lease, Ok(Some(lease)) if is_gone(&lease.worker, &worker.place.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn kept(unfinished: bool, at_work: bool, archived: bool) -> Kept {
        let task = TaskId::from_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let last = Timestamp(1_000 * HOUR);
        Kept { task, dirs: Vec::new(), last, unfinished, at_work, archived }
    }

    #[test]
    fn the_time_of_what_ended_what_was_cut_off_and_what_was_put_away_differs() {
        let keep = Keep {
            hours: 24,
            cut_off_hours: 168,
            sandbox_bytes: 0,
            layer_bytes: 0,
            snapshot_bytes: 0,
        };
        let over = |kept: Kept, hours: u64| kept.is_over(keep, Timestamp((1_000 + hours) * HOUR));
        assert!(!over(kept(false, false, false), 23));
        assert!(over(kept(false, false, false), 24));
        assert!(!over(kept(true, false, false), 167));
        assert!(over(kept(true, false, false), 168));
        assert!(over(kept(false, false, true), 0));
        assert!(!over(kept(true, false, true), 24));
        assert!(!over(kept(true, true, false), 1_000));
    }
}
