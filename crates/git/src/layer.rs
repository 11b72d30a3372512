//! Checkout layers: the whole working tree of a commit, read-only and shared by all tasks on it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quire_domain::ids::{CommitId, Sha256 as Digest256};
use sha2::{Digest, Sha256};

use crate::build_layer::{Times, build};
use crate::capture::SourceTimes;
use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::index::{Entry, Index};
use crate::lock::{HELD, Lock};
use crate::manifest::{LayerManifest, boot_id};
use crate::task_repository::TaskRepository;

/// Raised when layers are laid out anew: older ones are then never hit.
const LAYOUT_VERSION: u32 = 1;
/// Written last.
pub(crate) const MANIFEST: &str = "manifest.json";
const PATIENCE: Duration = Duration::from_mins(30);
/// After so long the kernel has written everything back.
const SETTLED_AFTER: Duration = Duration::from_mins(2);

/// Which modification times the files of a layer carry.
#[derive(Debug, Clone, Copy)]
pub enum LayerTimes<'a> {
    /// That of the commit with which they came into the cache.
    Commit,
    /// Those of the person's checkout where the content is the same, the present elsewhere: for
    /// when the checkout's build directories are shown inside, and build tools compare.
    Checkout(&'a SourceTimes),
}

/// A layer that is ready, held for as long as this value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct CheckoutLayer {
    /// Its working tree with `.git/index`: a lower directory of an overlay. Never write in it.
    pub path: PathBuf,
    /// What it is found by: 64 hex digits.
    pub key: String,
    /// Whether it was there.
    pub cache: CacheWord,
    /// What is in it.
    pub manifest: LayerManifest,
    _held: Arc<Lock>,
}

impl CheckoutLayer {
    /// The files of the commit, sorted; without submodules and without names that are not UTF-8.
    /// Reads the layer's index: some milliseconds for 50,000 files.
    pub fn tracked(&self) -> Result<Vec<String>, GitError> {
        let path = self.path.join(".git/index");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // Of a commit without files.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(GitError::io("read", &path)(error)),
        };
        let index = Index::parse(bytes)?;
        let files = index.entries().iter().filter(|entry| !entry.is_gitlink());
        let mut paths: Vec<String> = files
            .filter_map(|entry| std::str::from_utf8(entry.path.as_bytes()).ok())
            .map(str::to_owned)
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Where its index lies: with it, what differs later can be told.
    pub fn index(&self) -> PathBuf {
        self.path.join(".git/index")
    }

    /// The files and links that are not, or not the same, in the index at `earlier`, which another
    /// layer had. Reads both: some milliseconds for 50,000 files.
    pub fn changed_since(&self, earlier: &Path) -> Result<Vec<PathBuf>, GitError> {
        let read =
            |path: &Path| Index::parse(std::fs::read(path).map_err(GitError::io("read", path))?);
        let before = read(earlier)?;
        let before: HashMap<&[u8], (&[u8], u32)> = before
            .entries()
            .iter()
            .map(|entry| (entry.path.as_bytes(), (entry.oid.as_slice(), entry.mode)))
            .collect();
        let now = read(&self.index())?;
        let differs = |entry: &&Entry| {
            let then = before.get(entry.path.as_bytes());
            !entry.is_gitlink() && then != Some(&(entry.oid.as_slice(), entry.mode))
        };
        let changed = now.entries().iter().filter(differs);
        Ok(changed.map(|entry| OsStr::from_bytes(entry.path.as_bytes()).into()).collect())
    }
}

/// What the cache says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheWord {
    /// It was there.
    Hit,
    /// It was not.
    Miss {
        /// For the person, e.g. `commit 1a2b3c4 is new here; 12 of 50,000 files were written`.
        why: String,
    },
}

impl Git {
    /// The layer of a commit that the task's repository has; built if it is not there. Built by two
    /// at once, one builds and the other waits. A process killed while building leaves nothing that
    /// could be taken for a layer.
    pub async fn checkout_layer(
        &self,
        repository: &TaskRepository,
        commit: &CommitId,
        times: LayerTimes<'_>,
    ) -> Result<CheckoutLayer, GitError> {
        let key = layer_key(commit, times);
        let dir = self.layers_dir().join(&key);
        let hit = {
            let (dir, key) = (dir.clone(), key.clone());
            blocking("look for the layer", move || open_layer(&dir, &key)).await?
        };
        if let Some(layer) = hit {
            return Ok(layer);
        }
        let building = self.layers_dir().join(format!("{key}.lock"));
        let _building = Lock::wait("build the layer", building, PATIENCE).await?;
        {
            let (dir, key) = (dir.clone(), key.clone());
            if let Some(layer) =
                blocking("look for the layer", move || open_layer(&dir, &key)).await?
            {
                return Ok(layer);
            }
        }
        let times = match times {
            LayerTimes::Commit => {
                Times::Fixed(self.commit_date(repository.repository(), commit).await?)
            }
            LayerTimes::Checkout(times) => Times::Source(times.clone()),
        };
        let built = build(self, repository, commit, times, &dir).await?;
        let layer = blocking("look for the layer", move || open_layer(&dir, &key))
            .await?
            .ok_or_else(|| GitError::malformed("the new layer", "it was removed at once"))?;
        Ok(CheckoutLayer { cache: CacheWord::Miss { why: built }, ..layer })
    }

    /// Notes that a layer is used now, for the order in which layers are evicted.
    pub fn mark_used(&self, layer: &CheckoutLayer) {
        if let Some(dir) = layer.path.parent() {
            touch(dir);
        }
    }
}

fn layer_key(commit: &CommitId, times: LayerTimes<'_>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(LAYOUT_VERSION.to_be_bytes());
    hasher.update(commit.as_str());
    match times {
        LayerTimes::Commit => hasher.update(b" commit"),
        LayerTimes::Checkout(times) => {
            hasher.update(b" checkout ");
            hasher.update(times.digest.as_str());
        }
    }
    Digest256::from_bytes(&hasher.finalize().into()).into()
}

/// Opens the layer in `dir` and holds it, if it is there and can be trusted.
pub(crate) fn open_layer(dir: &Path, key: &str) -> Result<Option<CheckoutLayer>, GitError> {
    if !dir.join(MANIFEST).exists() {
        return Ok(None);
    }
    let Some(held) = Lock::share_soon(&dir.join(HELD))? else {
        // Someone is removing it.
        return Ok(None);
    };
    let Some(manifest) = LayerManifest::read(&dir.join(MANIFEST))? else { return Ok(None) };
    if !is_settled(dir, MANIFEST, &manifest.boot_id) {
        // The machine went down soon after it was made: files may be empty.
        return Ok(None);
    }
    touch(dir);
    Ok(Some(CheckoutLayer {
        path: dir.join("tree"),
        key: key.to_owned(),
        cache: CacheWord::Hit,
        manifest,
        _held: Arc::new(held),
    }))
}

/// Whether all of what was made in `dir` in the boot `made_in` is on disk; `last` is the file in it
/// that was written last. Nothing is synced when it is made, which would cost more than making it;
/// instead what is met again in the same boot some minutes later is marked.
pub(crate) fn is_settled(dir: &Path, last: &str, made_in: &str) -> bool {
    let mark = dir.join("settled");
    if mark.exists() {
        return true;
    }
    if made_in != boot_id() {
        return false;
    }
    let age = std::fs::metadata(dir.join(last))
        .and_then(|m| m.modified())
        .ok()
        .and_then(|made| SystemTime::now().duration_since(made).ok());
    if age.is_some_and(|age| age > SETTLED_AFTER) {
        // Losing the mark only costs making it again.
        let _ = std::fs::write(&mark, b"");
    }
    true
}

/// The time of the lock in `dir` says when it was last used.
pub(crate) fn touch(dir: &Path) {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    // Only when it goes hangs on it.
    let _ = rustix::fs::utimensat(
        rustix::fs::CWD,
        dir.join(HELD),
        &times,
        rustix::fs::AtFlags::empty(),
    );
}
