//! Finds the cached layer that has most in common with a commit's tree.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::build_layer::Times;
use crate::error::GitError;
use crate::index::{FileState, Index};
use crate::layer::{MANIFEST, is_settled};
use crate::lock::{HELD, Hold, Lock};
use crate::manifest::LayerManifest;

/// A layer to link from, held so that it is not removed meanwhile.
#[derive(Debug)]
pub(crate) struct Nearest {
    /// Its working tree.
    pub tree: PathBuf,
    /// Its commit.
    pub commit: String,
    /// For each entry of the new index: the state of the same file there.
    states: Vec<Option<FileState>>,
    shared: usize,
    _held: Lock,
}

impl Nearest {
    /// The state of the entry's file, if the layer has the same.
    pub(crate) fn state_of(&self, entry: usize) -> Option<FileState> {
        self.states.get(entry).copied().flatten()
    }
}

/// So many of the layers used last are looked at.
const LOOKED_AT: usize = 6;

/// The layer of the same mirror that shares most files with `index`; `None` if none shares at
/// least half, as linking from it would save little.
pub(crate) fn find_nearest(
    layers: &Path,
    mirror: &str,
    index: &Index,
    times: &Times,
) -> Result<Option<Nearest>, GitError> {
    let mut candidates: Vec<(SystemTime, PathBuf)> = Vec::new();
    let listing = std::fs::read_dir(layers).map_err(GitError::io("read the directory", layers))?;
    for entry in listing.flatten() {
        let name = entry.file_name();
        let is_layer = name.len() == 64 && entry.path().join(MANIFEST).exists();
        let used = std::fs::metadata(entry.path().join(HELD)).and_then(|m| m.modified());
        if let (true, Ok(used)) = (is_layer, used) {
            candidates.push((used, entry.path()));
        }
    }
    candidates.sort_by(|a, b| b.cmp(a));
    let mut best: Option<Nearest> = None;
    let mut looked_at = 0;
    for (_, dir) in candidates {
        if looked_at == LOOKED_AT {
            break;
        }
        let Some(manifest) = LayerManifest::read(&dir.join(MANIFEST))? else { continue };
        if manifest.mirror != mirror || manifest.commit_times != times.are_of_a_commit() {
            continue;
        }
        looked_at += 1;
        if !is_settled(&dir, MANIFEST, &manifest.boot_id) {
            continue;
        }
        let Some(held) = Lock::try_now(&dir.join(HELD), Hold::Shared)? else { continue };
        let tree = dir.join("tree");
        let Ok(bytes) = std::fs::read(tree.join(".git/index")) else { continue };
        let Ok(other) = Index::parse(bytes) else { continue };
        let Some((states, shared)) = compare(index, &other, times) else { continue };
        if best.as_ref().is_none_or(|best| shared > best.shared) {
            // So near that another would save nothing worth reading its index for.
            let near_enough = shared * 20 >= index.entries().len() * 19;
            best = Some(Nearest { tree, commit: manifest.commit, states, shared, _held: held });
            if near_enough {
                break;
            }
        }
    }
    Ok(best.filter(|best| best.shared > 0 && best.shared * 2 >= index.entries().len()))
}

/// The states of the files that are the same, and how many; `None` if attributes differ, since
/// the same blob may then be written otherwise.
fn compare(new: &Index, old: &Index, times: &Times) -> Option<(Vec<Option<FileState>>, usize)> {
    let mut states = vec![None; new.entries().len()];
    let mut shared = 0;
    let mut olds = old.entries().iter().peekable();
    for (position, entry) in new.entries().iter().enumerate() {
        while let Some(passed) = olds.next_if(|old| old.path < entry.path) {
            if is_attributes(passed.path.as_bytes()) {
                return None;
            }
        }
        let twin = olds.next_if(|old| old.path == entry.path);
        let same = twin.filter(|old| old.oid == entry.oid && old.mode == entry.mode);
        if same.is_none() && is_attributes(entry.path.as_bytes()) {
            return None;
        }
        if let Some(old) = same
            && !old.is_gitlink()
            && times.accept(&entry.path, &entry.oid, old.mtime)
        {
            states[position] = Some(old.state());
            shared += 1;
        }
    }
    if olds.any(|old| is_attributes(old.path.as_bytes())) {
        return None;
    }
    Some((states, shared))
}

fn is_attributes(path: &[u8]) -> bool {
    path == b".gitattributes" || path.ends_with(b"/.gitattributes")
}
