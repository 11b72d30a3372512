//! Where snapshots lie, who stands on them, and when they go.
//!
//! Each is a directory `<key>.<when it was made>` that appears by one rename, so that half of one
//! is never seen; what a crash leaves has another name and is swept. It is never changed and never
//! renamed: what stands on it names it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quire_domain::sandbox::{Layer, LayerOwner, SandboxBackend};
use quire_domain::time::Timestamp;

use super::hold::Hold;
use super::key::Key;
use super::manifest::{MANIFEST, Manifest};

/// The directory of a snapshot in which its sandbox wrote.
const UPPER: &str = "upper";

/// The index of the checkout that it was made on.
const INDEX: &str = "index";

/// What the names of those that are being made begin with.
const MAKING: &str = "making-";

/// Names that are tried for one.
const NAMES: u64 = 1_000;

/// How often it is looked whether another is done with making one.
const POLL: Duration = Duration::from_millis(50);

/// After so long a lock file that nobody holds is removed.
const LOCK_AGE: Duration = Duration::from_hours(1);

/// The snapshots of an installation.
#[derive(Debug, Clone)]
pub struct Snapshots {
    dir: PathBuf,
}

/// A snapshot that is held: it stays for as long as this value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its directory's name: what stands on it keeps this.
    pub name: String,
    /// What it holds.
    pub manifest: Manifest,
    /// Its layers by overlay, topmost first, with those it lies on.
    pub layers: BTreeMap<String, Vec<Layer>>,
    /// Variables of all commands above it.
    pub variables: BTreeMap<String, String>,
    /// `core.hooksPath`, where it was set.
    pub hooks_path: Option<String>,
    /// The indexes of the commits that it and those it lies on were made on.
    pub indexes: Vec<PathBuf>,
    _held: Arc<Vec<Hold>>,
}

/// A snapshot that is being made. What it wrote is swept later if it is dropped unfinished.
#[derive(Debug)]
pub struct Making {
    dir: PathBuf,
    _held: Option<Hold>,
}

impl Making {
    /// Where its sandbox writes.
    pub fn upper(&self) -> PathBuf {
        self.dir.join(UPPER)
    }

    /// Where the index of its commit is kept.
    pub fn index(&self) -> PathBuf {
        self.dir.join(INDEX)
    }

    /// Its directory: what is given to the backend to be removed.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The right to make the snapshot with one key.
#[derive(Debug)]
pub struct MakingLock {
    _held: Hold,
}

/// What eviction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gone {
    /// Snapshots that are gone.
    pub removed: u32,
    /// What they held, in bytes.
    pub bytes: u64,
    /// Snapshots that were to go and are used.
    pub in_use: u32,
}

/// What lies there, for lists and eviction.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its directory's name.
    pub name: String,
    /// What it holds.
    pub manifest: Manifest,
    /// When an attempt last began on it.
    pub used_at: Timestamp,
}

impl Snapshots {
    /// Those below `data_dir`.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("layers").join("snapshots") }
    }

    /// All that are whole, in no order.
    pub fn all(&self) -> Vec<Kept> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(|name| is_name(name))?;
                let manifest = Manifest::read(&entry.path())?;
                let used =
                    std::fs::metadata(entry.path().join(MANIFEST)).and_then(|m| m.modified());
                let since = used.ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let used_at = Timestamp(u64::try_from(since.as_millis()).unwrap_or(0));
                Some(Kept { name, manifest, used_at })
            })
            .collect()
    }

    /// Holds one and those it lies on. `None` where any of them is gone or is going.
    pub fn hold(&self, name: &str, now: Timestamp) -> Option<Snapshot> {
        let (manifest, held) = self.hold_one(name, now)?;
        let mut held = vec![held];
        let mut layers: BTreeMap<String, Vec<Layer>> = BTreeMap::new();
        let mut variables = manifest.variables.clone();
        let mut hooks_path = manifest.hooks_path.clone();
        self.lay(name, &manifest, &mut layers);
        for name in &manifest.below {
            let (below, hold) = self.hold_one(name, now)?;
            held.push(hold);
            self.lay(name, &below, &mut layers);
            for (name, value) in below.variables {
                variables.entry(name).or_insert(value);
            }
            hooks_path = hooks_path.or(below.hooks_path);
        }
        let all = std::iter::once(name).chain(manifest.below.iter().map(String::as_str));
        let indexes = all.map(|name| self.dir.join(name).join(INDEX)).collect();
        let name = name.to_owned();
        let held = Arc::new(held);
        Some(Snapshot { name, manifest, layers, variables, hooks_path, indexes, _held: held })
    }

    /// The right to make the snapshot with `key`. Waits while another process or task makes it;
    /// `waits` is called once, before the first wait. The caller bounds the wait.
    pub async fn lock(&self, key: &Key, waits: impl FnOnce()) -> io::Result<MakingLock> {
        std::fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{key}.lock"));
        let mut waits = Some(waits);
        loop {
            if let Some(held) = Hold::made(&path)? {
                return Ok(MakingLock { _held: held });
            }
            if let Some(waits) = waits.take() {
                waits();
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Begins to make one.
    pub fn begin(&self, key: &Key) -> io::Result<Making> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{MAKING}{}-{}-{number}", key.short(), std::process::id());
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&self.dir)?;
        std::fs::create_dir(&dir)?;
        Ok(Making { _held: Hold::shared(&dir), dir })
    }

    /// Makes it one of the kept. What its sandbox wrote is on disk already. Gives its name.
    pub fn finish(&self, making: &Making, manifest: &Manifest) -> io::Result<String> {
        manifest.write(&making.dir)?;
        mark_used(&making.dir, manifest.made_at);
        std::fs::File::open(&making.dir)?.sync_all()?;
        // A clock that jumped back may give a time once more: the one of then stays.
        for at in manifest.made_at.0..manifest.made_at.0.saturating_add(NAMES) {
            let name = format!("{}.{at}", manifest.key);
            match std::fs::rename(&making.dir, self.dir.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                renamed => {
                    renamed?;
                    std::fs::File::open(&self.dir)?.sync_all()?;
                    return Ok(name);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes those whose time is over, and those used longest ago until the others hold
    /// `budget` bytes at most. Never what a living process holds, what `in_use` names, or what
    /// another one that stays lies on.
    pub async fn evict(
        &self,
        sandboxes: &dyn SandboxBackend,
        budget: u64,
        in_use: &BTreeSet<String>,
        now: Timestamp,
    ) -> Gone {
        let mut left = self.all();
        left.sort_by_key(|one| one.used_at);
        let mut total: u64 = left.iter().map(|one| one.manifest.used.bytes).sum();
        let mut gone = Gone::default();
        let mut tried: BTreeSet<String> = BTreeSet::new();
        loop {
            let below: BTreeSet<&String> =
                left.iter().flat_map(|one| &one.manifest.below).collect();
            let next = left.iter().position(|one| {
                let is_over = one.manifest.is_over(one.manifest.lifetime_ms, now);
                (is_over || total > budget)
                    && !tried.contains(&one.name)
                    && !in_use.contains(&one.name)
                    && !below.contains(&one.name)
            });
            let Some(index) = next else { return gone };
            let one = left.remove(index);
            tried.insert(one.name.clone());
            if self.remove(sandboxes, &one.name).await {
                total = total.saturating_sub(one.manifest.used.bytes);
                gone.removed += 1;
                gone.bytes += one.manifest.used.bytes;
            } else {
                gone.in_use += 1;
                left.push(one);
            }
        }
    }

    /// Removes all of an environment that nobody uses; of `environment` `None`, all of the owner.
    pub async fn reset(
        &self,
        sandboxes: &dyn SandboxBackend,
        owner: &str,
        environment: Option<&str>,
        in_use: &BTreeSet<String>,
    ) -> Gone {
        let mut own: Vec<Kept> = self
            .all()
            .into_iter()
            .filter(|one| one.manifest.owner == owner)
            .filter(|one| environment.is_none_or(|name| one.manifest.environment == name))
            .collect();
        // What lies on others goes before them.
        own.sort_by_key(|one| std::cmp::Reverse(one.manifest.below.len()));
        let mut gone = Gone::default();
        for one in own {
            if !in_use.contains(&one.name) && self.remove(sandboxes, &one.name).await {
                gone.removed += 1;
                gone.bytes += one.manifest.used.bytes;
            } else {
                gone.in_use += 1;
            }
        }
        gone
    }

    /// Removes those with the key of `newest` that were made before it, and that nobody uses.
    pub async fn drop_older(
        &self,
        sandboxes: &dyn SandboxBackend,
        newest: &Snapshot,
        in_use: &BTreeSet<String>,
    ) {
        let all = self.all();
        let below: BTreeSet<&String> = all.iter().flat_map(|one| &one.manifest.below).collect();
        let older = all.iter().filter(|one| {
            one.manifest.key == newest.manifest.key
                && one.manifest.made_at < newest.manifest.made_at
                && !in_use.contains(&one.name)
                && !below.contains(&one.name)
        });
        for one in older {
            self.remove(sandboxes, &one.name).await;
        }
    }

    /// Removes what processes that died left half made.
    pub async fn sweep(&self, sandboxes: &dyn SandboxBackend) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if name.starts_with(MAKING) {
                if let Some(_held) = Hold::alone(&path) {
                    // It may hold secrets: it was not searched.
                    let _ = sandboxes.erase(&path).await;
                }
            } else if name.ends_with(".lock")
                && is_old(&path)
                && let Ok(Some(_held)) = Hold::made(&path)
            {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn hold_one(&self, name: &str, now: Timestamp) -> Option<(Manifest, Hold)> {
        // It comes from a file beside an attempt: never a path that leads elsewhere.
        let dir = self.dir.join(Some(name).filter(|name| is_name(name))?);
        let held = Hold::shared(&dir)?;
        let manifest = Manifest::read(&dir)?;
        mark_used(&dir, now);
        Some((manifest, held))
    }

    fn lay(&self, name: &str, manifest: &Manifest, layers: &mut BTreeMap<String, Vec<Layer>>) {
        for overlay in &manifest.overlays {
            let path = self.dir.join(name).join(UPPER).join(overlay).join("upper");
            let layer = Layer { path, owner: LayerOwner::Sandbox };
            layers.entry(overlay.clone()).or_default().push(layer);
        }
    }

    /// Whether it is gone.
    async fn remove(&self, sandboxes: &dyn SandboxBackend, name: &str) -> bool {
        let dir = self.dir.join(name);
        let Some(_held) = Hold::alone(&dir) else { return !dir.exists() };
        sandboxes.discard(&dir).await.is_ok()
    }
}

/// 64 hex digits, a dot, and a number.
fn is_name(name: &str) -> bool {
    name.split_once('.').is_some_and(|(key, made)| {
        key.len() == 64
            && key.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !made.is_empty()
            && made.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Where it fails, the snapshot goes a little earlier than it should.
fn mark_used(dir: &Path, now: Timestamp) {
    let used = UNIX_EPOCH + Duration::from_millis(now.0);
    if let Ok(file) = std::fs::File::options().append(true).open(dir.join(MANIFEST)) {
        let _ = file.set_modified(used);
    }
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    modified
        .is_ok_and(|then| SystemTime::now().duration_since(then).is_ok_and(|age| age > LOCK_AGE))
}

#[cfg(test)]
mod tests {
    use quire_domain::sandbox::UpperUse;

    use super::*;
    use crate::snapshot::Inputs;

    #[test]
    fn two_of_one_key_and_one_time_lie_side_by_side() {
        let place = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(place.path());
        let inputs = Inputs::default();
        let manifest = Manifest {
            key: inputs.key(),
            owner: "me".to_owned(),
            environment: "web".to_owned(),
            inputs,
            commit: "c".to_owned(),
            script: "true".to_owned(),
            made_at: Timestamp(7),
            ms: 1,
            lifetime_ms: 1_000,
            below: Vec::new(),
            overlays: Vec::new(),
            variables: BTreeMap::new(),
            hooks_path: None,
            limits_met: Vec::new(),
            notes: Vec::new(),
            used: UpperUse::default(),
        };
        let make = || {
            let making = snapshots.begin(&manifest.key).unwrap();
            snapshots.finish(&making, &manifest).unwrap()
        };
        let (one, two) = (make(), make());
        assert_ne!(one, two);
        // Who stood on the first one still does.
        for name in [&one, &two] {
            assert!(snapshots.hold(name, Timestamp(8)).is_some(), "{name}");
        }
        assert_eq!(snapshots.all().len(), 2);
    }
}
