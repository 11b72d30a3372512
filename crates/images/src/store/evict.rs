//! What goes when the store is larger than it may be.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::lock::{self, Mode};
use super::{Chain, LayerFacts, Store};
use crate::digest::Digest;

/// What was taken out of the store: moved aside, to be removed by who can.
#[derive(Debug, Default)]
pub(crate) struct Doomed {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) layers: usize,
    pub(crate) bytes: u64,
    pub(crate) kept_bytes: u64,
}

struct Candidate {
    chain: Chain,
    used: SystemTime,
    bytes: u64,
}

impl Store {
    /// Moves aside what may go: the least recently used layers above `budget` bytes, blobs that
    /// nobody is about to unpack, and what crashes left. Nothing that is held, by a lock of any
    /// process or by the paths of `held`; and nothing at all while another process begins to use
    /// something.
    pub(crate) fn doom(&self, budget: u64, held: &[PathBuf]) -> std::io::Result<Doomed> {
        let mut doomed = Doomed::default();
        let Some(_all) = lock::try_take(&self.lock_file("store"), Mode::Alone)? else {
            return Ok(doomed);
        };
        let mut kept: HashSet<Chain> = HashSet::new();
        for entry in fs::read_dir(self.dir.join("records"))?.flatten() {
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            let chains = self.record(key).map(|record| record.chains()).unwrap_or_default();
            let used = lock::try_take(&self.lock_file(key), Mode::Alone)?.is_none();
            // What lies above the topmost held layer may be another image's on the same ground.
            let held = chains.iter().rposition(|chain| held.contains(&self.layer(chain).path));
            let most = if used { chains.len() } else { held.map_or(0, |index| index + 1) };
            kept.extend(chains.into_iter().take(most));
        }
        let mut all = self.candidates()?;
        doomed.kept_bytes = all.iter().map(|candidate| candidate.bytes).sum();
        all.sort_by_key(|candidate| candidate.used);
        for candidate in all {
            if doomed.kept_bytes <= budget {
                break;
            }
            if kept.contains(&candidate.chain)
                || held.contains(&self.layer(&candidate.chain).path)
                || self.is_busy(&format!("layer-{}", candidate.chain.name()))?
            {
                continue;
            }
            let gone = self.dir.join("trash").join(candidate.chain.name());
            fs::rename(self.holder(&candidate.chain), &gone)?;
            doomed.paths.push(gone);
            doomed.layers += 1;
            doomed.bytes += candidate.bytes;
            doomed.kept_bytes -= candidate.bytes;
        }
        self.doom_left_over(&mut doomed)?;
        Ok(doomed)
    }

    fn candidates(&self) -> std::io::Result<Vec<Candidate>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.dir.join("layers"))?.flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let chain = Chain(name);
            // Without its facts it is nothing that is ever found: it goes first.
            let facts = self.facts(&chain);
            let used = fs::metadata(entry.path().join("layer.json"))
                .and_then(|metadata| metadata.modified())
                .unwrap_or(SystemTime::UNIX_EPOCH);
            let bytes = facts.as_ref().map_or(1, LayerFacts::bytes);
            all.push(Candidate { chain, used, bytes });
        }
        Ok(all)
    }

    /// Blobs and uppers whose makers are gone, and what earlier evictions could not remove.
    fn doom_left_over(&self, doomed: &mut Doomed) -> std::io::Result<()> {
        let names = |dir: &str| -> std::io::Result<BTreeSet<String>> {
            let entries = fs::read_dir(self.dir.join(dir))?.flatten();
            Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
        };
        for name in names("unpacking")? {
            let chain = name.strip_suffix(".boot").unwrap_or(&name);
            if !self.is_busy(&format!("layer-{chain}"))? {
                doomed.paths.push(self.dir.join("unpacking").join(&name));
            }
        }
        for name in names("blobs")? {
            let hex = name.strip_suffix(".part").unwrap_or(&name);
            // What came of a layer is kept for the next try; a week is long enough.
            let path = self.dir.join("blobs").join(&name);
            let old = is_older_than_a_week(&path);
            if old && !self.is_busy(&format!("blob-{hex}"))? {
                fs::remove_file(path)?;
            }
        }
        for name in names("trash")? {
            let path = self.dir.join("trash").join(name);
            if !doomed.paths.contains(&path) {
                doomed.paths.push(path);
            }
        }
        Ok(())
    }

    fn is_busy(&self, lock: &str) -> std::io::Result<bool> {
        Ok(lock::try_take(&self.lock_file(lock), Mode::Alone)?.is_none())
    }

    /// Removes a blob that was unpacked, unless another process is about to unpack it too. The
    /// caller's own lock on it has to be gone.
    pub(crate) fn drop_blob(&self, blob: &Digest) -> std::io::Result<()> {
        let lock = self.lock_file(&format!("blob-{}", blob.hex()));
        if let Some(_alone) = lock::try_take(&lock, Mode::Alone)? {
            let _ = fs::remove_file(self.blob(blob));
            let _ = fs::remove_file(lock);
        }
        Ok(())
    }
}

fn is_older_than_a_week(path: &Path) -> bool {
    let modified = File::open(path).and_then(|file| file.metadata()).and_then(|m| m.modified());
    let week = std::time::Duration::from_hours(24 * 7);
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > week))
}
