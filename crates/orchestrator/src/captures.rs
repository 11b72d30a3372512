//! Which captures of uncommitted work are needed: those that a task began with, for as long as the
//! task is kept, since its diff, its follow-ups and its reruns stand on them.

use quire_domain::ids::CommitId;

use crate::submit::Origin;
use crate::worker::Worker;

/// Removes the captures that no task began with: of throw-away sandboxes, and of tasks that were
/// never written down. Failures are left for the next time.
pub async fn prune(worker: &Worker) {
    let Ok(origins) = worker.store.origins().await else { return };
    let needed: Result<Vec<(String, CommitId)>, String> = origins
        .iter()
        .map(|text| Origin::parse(text).map(|origin| (origin.mirror, origin.layer)))
        .collect();
    // One that cannot be read, of a newer version perhaps, may name any of them.
    if let Ok(needed) = needed {
        let _ = worker.git.prune_captures(needed).await;
    }
}
