//! Removes layers and captures that nobody uses, and what crashed processes left behind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use quire_domain::ids::CommitId;

use crate::capture_store::name_of;
use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::lock::{HELD, Hold, Lock};
use crate::manifest::LayerManifest;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Layers.
    pub layers: u32,
    /// The bytes that were written for them; what others share with them stays.
    pub bytes: u64,
}

/// What is younger is left alone: it may belong to a process that has not locked it yet.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// What is younger than this may not be held yet by whoever makes it.
const JUST_MADE: Duration = Duration::from_secs(2);

impl Git {
    /// Removes the layers used longest ago until the others have `budget_bytes` at most. Kept are
    /// those that a living process holds, and `in_use` (keys): those that kept uppers lie on.
    pub async fn evict(&self, budget_bytes: u64, in_use: &[String]) -> Result<Evicted, GitError> {
        let (layers, in_use) = (self.layers_dir(), in_use.to_vec());
        blocking("remove old layers", move || evict(&layers, budget_bytes, &in_use)).await
    }

    /// Removes captures that no task began with, an hour after they were last asked for. `in_use`
    /// gives the mirror's key and the base of each task.
    pub async fn prune_captures(&self, in_use: Vec<(String, CommitId)>) -> Result<(), GitError> {
        let captures = self.captures_dir();
        blocking("remove old captures", move || prune_captures(&captures, &in_use)).await
    }

    /// Removes what processes that died left half done. Safe beside living ones.
    pub async fn sweep(&self) -> Result<(), GitError> {
        let (layers, captures) = (self.layers_dir(), self.captures_dir());
        let (quarantine, mirrors) = (self.quarantine_dir(), self.mirrors_dir());
        blocking("remove leftovers", move || {
            sweep_layers(&layers)?;
            sweep_layers(&captures)?;
            sweep_quarantine(&quarantine)?;
            sweep_old(&quarantine, |_| true)?;
            sweep_old(&mirrors, |name| name.starts_with("half-"))
        })
        .await
    }
}

struct Candidate {
    used: SystemTime,
    dir: PathBuf,
    bytes: u64,
}

fn evict(layers: &Path, budget: u64, in_use: &[String]) -> Result<Evicted, GitError> {
    let mut candidates = Vec::new();
    for (name, dir) in list(layers)? {
        if name.len() != 64 {
            continue;
        }
        let used = std::fs::metadata(dir.join(HELD)).and_then(|m| m.modified());
        let bytes = LayerManifest::read(&dir.join("manifest.json"))?.map_or(0, |m| m.bytes);
        let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
        candidates.push((in_use.contains(&name), Candidate { used, dir, bytes }));
    }
    let mut total: u64 = candidates.iter().map(|(_, c)| c.bytes).sum();
    candidates.sort_by_key(|(_, c)| c.used);
    let mut evicted = Evicted::default();
    for (needed, candidate) in candidates {
        if total <= budget {
            break;
        }
        if !needed && remove_unheld(&candidate.dir)? {
            total -= candidate.bytes;
            evicted.layers += 1;
            evicted.bytes += candidate.bytes;
        }
    }
    Ok(evicted)
}

fn prune_captures(captures: &Path, in_use: &[(String, CommitId)]) -> Result<(), GitError> {
    let in_use: HashSet<String> = in_use.iter().map(|(key, base)| name_of(key, base)).collect();
    for (name, dir) in list(captures)? {
        // Others are half made or half gone.
        let is_whole = !name.starts_with("half-") && dir.extension().is_none();
        if is_whole && !in_use.contains(&name) && is_old(&dir.join(HELD)) {
            remove_unheld(&dir)?;
        }
    }
    Ok(())
}

/// Removes a layer or a capture, finished or half made, unless a living process holds it.
pub(crate) fn remove_unheld(dir: &Path) -> Result<bool, GitError> {
    let Some(_held) = Lock::try_now(&dir.join(HELD), Hold::Alone)? else { return Ok(false) };
    // Under its own name it could be opened while it goes.
    let gone = dir.with_extension("gone");
    std::fs::rename(dir, &gone).map_err(GitError::io("move away", dir))?;
    // A git whose parent was killed may still be writing in it: the next sweep takes what stays.
    let _ = std::fs::remove_dir_all(&gone);
    Ok(true)
}

fn sweep_layers(layers: &Path) -> Result<(), GitError> {
    for (name, path) in list(layers)? {
        let extension = path.extension().and_then(|e| e.to_str());
        match extension {
            Some("gone" | "old") => {
                let _ = std::fs::remove_dir_all(&path);
            }
            Some("lock") if is_old(&path) => {
                // Held: someone builds. Removing it while another waits for it is harmless, as
                // the layer is looked for again once the lock is held, and renamed in one step.
                if let Some(_held) = Lock::try_now(&path, Hold::Alone)? {
                    let _ = std::fs::remove_file(&path);
                }
            }
            _ if name.starts_with("half-") && path.join(HELD).exists() => {
                remove_unheld(&path)?;
            }
            _ if name.starts_with("half-") && is_old(&path) => {
                let _ = std::fs::remove_dir_all(&path);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what a pack was unpacked in by a process that died since: nobody holds it.
fn sweep_quarantine(dir: &Path) -> Result<(), GitError> {
    for (name, path) in list(dir)? {
        let held = path.join(HELD);
        // One that is just being made may not be held yet.
        if name.starts_with("pack-")
            && is_older(&held, JUST_MADE)
            && Lock::try_now(&held, Hold::Alone)?.is_some()
        {
            // A git whose parent was killed may still be writing: what stays goes when it is old.
            let _ = std::fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn sweep_old(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), GitError> {
    for (name, path) in list(dir)? {
        if wanted(&name) && is_old(&path) {
            let _ = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
        }
    }
    Ok(())
}

fn is_old(path: &Path) -> bool {
    is_older(path, LEFTOVER_AGE)
}

fn is_older(path: &Path, least: Duration) -> bool {
    std::fs::symlink_metadata(path)
        .and_then(|m| m.modified())
        .ok()
        .and_then(|made| SystemTime::now().duration_since(made).ok())
        .is_some_and(|age| age > least)
}

fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, GitError> {
    let listing = std::fs::read_dir(dir).map_err(GitError::io("read the directory", dir))?;
    Ok(listing
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect())
}
