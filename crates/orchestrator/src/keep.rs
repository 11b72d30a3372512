//! What is kept and what goes: sandboxes of tasks that ended long ago, checkout layers used
//! longest ago, and what processes that died left behind. All of it is cache: nothing that a
//! person was shown is lost with it.

use std::path::Path;
use std::str::FromStr;

use quire_domain::attempt::AttemptState;
use quire_domain::ids::AttemptId;

use crate::lease::is_gone;
use crate::worker::Worker;

/// How long, and how much.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Hours that the sandbox of an attempt that ended is kept for follow-ups.
    pub hours: u64,
    /// Bytes of checkout layers.
    pub layer_bytes: u64,
}

/// Removes what is no longer to be kept. Run it beside the work: failures are left for the next
/// time.
pub async fn sweep(worker: &Worker, keep: Keep) {
    let _ = worker.sandboxes.sweep().await;
    let _ = worker.git.sweep().await;
    crate::captures::prune(worker).await;
    let uppers = worker.place.data_dir.join("uppers");
    let Ok(entries) = std::fs::read_dir(&uppers) else { return };
    let mut in_use = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        let keeps = match AttemptId::from_str(name) {
            Ok(attempt) => is_kept(worker, attempt, keep.hours).await,
            // A throw-away sandbox, named by its process.
            Err(_) => is_living(name),
        };
        if keeps {
            in_use.extend(std::fs::read_to_string(path.join("layer")).ok());
        } else {
            let _ = worker.sandboxes.discard(&path).await;
        }
    }
    let _ = worker.git.evict(keep.layer_bytes, &in_use).await;
}

/// Whether an attempt may still need what it wrote: unless it ended long enough ago.
async fn is_kept(worker: &Worker, attempt: AttemptId, hours: u64) -> bool {
    // One that cannot be read now is none of ours to remove.
    let Ok(row) = worker.store.attempt_by_id(attempt).await else { return true };
    let until = row.updated_at.plus_millis(hours.saturating_mul(3_600_000));
    let ended = |state: &AttemptState| matches!(state, AttemptState::Done { .. });
    if !ended(&row.state) || worker.clock.now() < until {
        return true;
    }
    // A turn at work lies on what the turns before it left.
    let Ok(turns) = worker.store.turns(row.task).await else { return true };
    for turn in turns {
        match worker.store.attempts(turn.id).await {
            Ok(attempts) if attempts.iter().all(|attempt| ended(&attempt.state)) => {}
            _ => return true,
        }
    }
    false
}

/// Whether the process of a throw-away sandbox, `…-<pid>`, lives.
fn is_living(name: &str) -> bool {
    name.rsplit('-')
        .next()
        .is_some_and(|pid| pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists())
}

/// Whether an attempt that is said to be at work is not: its process is gone.
pub async fn is_cut_off(worker: &Worker, attempt: AttemptId) -> bool {
    let lease = worker.store.lease(attempt).await;
    matches!(lease, Ok(Some(lease)) if is_gone(&lease.worker, &worker.place.host))
}
