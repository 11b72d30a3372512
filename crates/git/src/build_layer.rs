//! Builds a checkout layer: what another layer has is linked, the rest git writes.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quire_domain::ids::CommitId;

use crate::capture::SourceTimes;
use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::index::{FileState, Index};
use crate::inside::OBJECTS_INSIDE;
use crate::lock::{HELD, Hold, Lock};
use crate::manifest::{LayerManifest, boot_id};
use crate::nearest::{Nearest, find_nearest};
use crate::path::RepoPath;
use crate::repository::base_settings;
use crate::task_repository::TaskRepository;

/// Who owns the files of a layer inside the sandbox, user and group alike: the index is written
/// for that, so that git there need not read a single file.
pub const SANDBOX_UID: u32 = 1000;

const BUILD_TIMEOUT: Duration = Duration::from_mins(30);

/// Modification times for a new layer.
#[derive(Debug)]
pub(crate) enum Times {
    /// This one, seconds since 1970, for what is written; what is linked keeps its own.
    Fixed(i64),
    /// As in a checkout.
    Source(SourceTimes),
}

impl Times {
    /// The time a file must have; `None` where any will do.
    pub(crate) fn required(&self, path: &RepoPath, oid: &[u8]) -> Option<(u32, u32)> {
        match self {
            Self::Fixed(_) => None,
            Self::Source(times) => {
                times.files.get(path).filter(|(blob, _)| blob == oid).map(|(_, mtime)| *mtime)
            }
        }
    }

    /// Whether `mtime` will do for a file that another layer has.
    pub(crate) fn accept(&self, path: &RepoPath, oid: &[u8], mtime: (u32, u32)) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Source(_) => self.required(path, oid) == Some(mtime),
        }
    }

    pub(crate) fn are_of_a_commit(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The time for a file that is written now.
    fn for_new(&self, path: &RepoPath, oid: &[u8], now: (u32, u32)) -> (u32, u32) {
        match self {
            // Never so near the present that git could take a file for one changed unseen.
            Self::Fixed(date) => {
                (u32::try_from(*date).unwrap_or(1).clamp(1, now.0.saturating_sub(10)), 0)
            }
            Self::Source(_) => self.required(path, oid).unwrap_or(now),
        }
    }
}

/// Builds the layer of `commit` in a directory of its own, then gives it its name `dir`. The
/// caller holds the lock of that name. Gives the cache's word for the person.
pub(crate) async fn build(
    git: &Git,
    repository: &TaskRepository,
    commit: &CommitId,
    times: Times,
    dir: &Path,
) -> Result<String, GitError> {
    let (layers, mirror_key) = (git.layers_dir(), repository.mirror().key.clone());
    let half = blocking("build the layer", move || Half::make(&layers)).await?;
    let index_path = half.tree().join(".git/index");
    let git_dir = repository.repository().git_dir();
    git.ours("read the tree of the commit", git_dir)
        .env("GIT_INDEX_FILE", &index_path)
        .setting("index.version=2")
        .args(["read-tree", commit.as_str()])
        .timeout(BUILD_TIMEOUT)
        .success()
        .await?;

    let (layers, index_file) = (git.layers_dir(), index_path.clone());
    let tree = half.tree();
    let (plan, times) = blocking("build the layer", move || {
        let bytes = std::fs::read(&index_file).map_err(GitError::io("read", &index_file))?;
        let index = Index::parse(bytes)?;
        let nearest = find_nearest(&layers, &mirror_key, &index, &times)?;
        let plan = Plan::link(index, nearest.as_ref(), &tree)?;
        Ok((plan, times))
    })
    .await?;

    if !plan.to_write.is_empty() {
        let mut paths = Vec::new();
        for position in &plan.to_write {
            paths.extend_from_slice(plan.index.entries()[*position].path.as_bytes());
            paths.push(0);
        }
        git.ours("write the working tree", git_dir)
            .env("GIT_INDEX_FILE", &index_path)
            .env("GIT_WORK_TREE", half.tree())
            .setting("checkout.workers=0")
            .args(["checkout-index", "-f", "-q", "-z", "--stdin"])
            .input(paths)
            .timeout(BUILD_TIMEOUT)
            .success()
            .await?;
    }

    let mirror_key = repository.mirror().key.clone();
    let (commit, dir) = (commit.clone(), dir.to_owned());
    blocking("build the layer", move || finish(half, plan, &times, &commit, mirror_key, &dir)).await
}

/// A layer that is being built: gone when dropped, and recognisable by its lock when left.
struct Half {
    dir: tempfile::TempDir,
    held: Lock,
}

impl Half {
    fn make(layers: &Path) -> Result<Self, GitError> {
        let dir = tempfile::Builder::new()
            .prefix("half-")
            .tempdir_in(layers)
            .map_err(GitError::io("make a directory in", layers))?;
        let held = Lock::try_now(&dir.path().join(HELD), Hold::Alone)?
            .ok_or_else(|| GitError::malformed("the new layer", "someone holds it"))?;
        let git = dir.path().join("tree/.git");
        for name in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            let path = git.join(name);
            std::fs::create_dir_all(&path).map_err(GitError::io("make the directory", &path))?;
        }
        Ok(Self { dir, held })
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }
}

/// What is linked, and what is left for git to write.
struct Plan {
    index: Index,
    /// For each entry: the state of the file it was linked from.
    linked: Vec<Option<FileState>>,
    to_write: Vec<usize>,
    from_commit: Option<String>,
    has_attributes: bool,
}

impl Plan {
    fn link(index: Index, nearest: Option<&Nearest>, tree: &Path) -> Result<Self, GitError> {
        let mut directories: HashSet<Vec<u8>> = HashSet::new();
        for entry in index.entries() {
            if !entry.path.is_safe() {
                return Err(GitError::malformed("the tree", format!("bad path `{}`", entry.path)));
            }
            let path = entry.path.as_bytes();
            // From the deepest up, until one that is known with all those above it.
            let mut end = path.len();
            while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
                end = slash;
                if !directories.insert(path[..end].to_vec()) {
                    break;
                }
            }
        }
        // A tree that names one path as a file and as a directory could turn a link of its own
        // into a way out.
        if let Some(entry) =
            index.entries().iter().find(|e| directories.contains(e.path.as_bytes()))
        {
            let why = format!("`{}` is a file and a directory", entry.path);
            return Err(GitError::malformed("the tree", why));
        }
        let mut sorted: Vec<&Vec<u8>> = directories.iter().collect();
        sorted.sort();
        for directory in sorted {
            let path = tree.join(OsStr::from_bytes(directory));
            std::fs::create_dir(&path).map_err(GitError::io("make the directory", &path))?;
        }
        let mut plan = Self {
            linked: vec![None; index.entries().len()],
            to_write: Vec::new(),
            from_commit: nearest.map(|n| n.commit.clone()),
            has_attributes: false,
            index,
        };
        for position in 0..plan.index.entries().len() {
            plan.link_one(position, nearest, tree)?;
        }
        Ok(plan)
    }

    fn link_one(
        &mut self,
        position: usize,
        nearest: Option<&Nearest>,
        tree: &Path,
    ) -> Result<(), GitError> {
        let entry = &self.index.entries()[position];
        self.has_attributes |= entry.path.file_name() == b".gitattributes";
        let target = tree.join(entry.path.as_path());
        if entry.is_gitlink() {
            return std::fs::create_dir(&target)
                .map_err(GitError::io("make the directory", &target));
        }
        if let Some(nearest) = nearest
            && let Some(state) = nearest.state_of(position)
        {
            match std::fs::hard_link(nearest.tree.join(entry.path.as_path()), &target) {
                Ok(()) => {
                    self.linked[position] = Some(state);
                    return Ok(());
                }
                // So many links that the file system takes no more: a new file then.
                Err(error) if error.kind() == ErrorKind::TooManyLinks => {}
                Err(error) => return Err(GitError::io("link", &target)(error)),
            }
        }
        self.to_write.push(position);
        Ok(())
    }
}

fn finish(
    half: Half,
    mut plan: Plan,
    times: &Times,
    commit: &CommitId,
    mirror: String,
    dir: &Path,
) -> Result<String, GitError> {
    let tree = half.tree();
    let mut manifest = LayerManifest {
        commit: commit.as_str().to_owned(),
        mirror,
        commit_times: times.are_of_a_commit(),
        files: 0,
        bytes: 0,
        instruction_files: Vec::new(),
        submodules: Vec::new(),
        lfs_pointers: 0,
        boot_id: boot_id(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = (u32::try_from(now.as_secs()).unwrap_or(u32::MAX), now.subsec_nanos());
    for position in 0..plan.index.entries().len() {
        let entry = &plan.index.entries()[position];
        manifest.note(&entry.path.to_string(), entry.is_gitlink());
        let state = if entry.is_gitlink() {
            None
        } else if let Some(state) = plan.linked[position] {
            Some(state)
        } else {
            let path = tree.join(entry.path.as_path());
            let (state, bytes) = settle(&path, times.for_new(&entry.path, &entry.oid, now))?;
            manifest.bytes += bytes;
            Some(state)
        };
        if plan.has_attributes
            && state.is_some_and(|s| (100..=200).contains(&s.size))
            && is_lfs_pointer(&tree.join(plan.index.entries()[position].path.as_path()))
        {
            manifest.lfs_pointers += 1;
        }
        plan.index.set_state(position, state, SANDBOX_UID);
    }
    let (written, format) =
        (plan.to_write.len(), crate::repository::ObjectFormat::of(commit.as_str()));
    let why = match &plan.from_commit {
        None => format!("commit {:.10} is new here; {written} files were written", commit.as_str()),
        Some(near) => format!(
            "commit {:.10} is new here; {written} of {} files were written, the others are shared with {near:.10}",
            commit.as_str(),
            manifest.files
        ),
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = half.dir.path().join(name);
        std::fs::write(&path, bytes).map_err(GitError::io("write", &path))
    };
    write("tree/.git/config", base_settings(format, false).as_bytes())?;
    write("tree/.git/objects/info/alternates", format!("{OBJECTS_INSIDE}\n").as_bytes())?;
    write("tree/.git/index", &plan.index.into_bytes())?;
    let json = serde_json::to_vec(&manifest)
        .map_err(|e| GitError::malformed("the manifest", e.to_string()))?;
    write("manifest.json", &json)?;
    if dir.exists() {
        // One that cannot be trusted after a crash of the machine, unless someone uses it: then
        // it is as good as ours.
        let Some(_old) = Lock::try_now(&dir.join(HELD), Hold::Alone)? else { return Ok(why) };
        let old = dir.with_extension("old");
        std::fs::rename(dir, &old).map_err(GitError::io("move away", dir))?;
        let _ = std::fs::remove_dir_all(&old);
    }
    // Not given back and taken again: no one may come between.
    half.held.share(dir)?;
    let half_path = half.dir.keep();
    if let Err(error) = std::fs::rename(&half_path, dir) {
        let _ = std::fs::remove_dir_all(&half_path);
        return Err(GitError::io("name the layer", dir)(error));
    }
    drop(half.held);
    Ok(why)
}

/// Gives a file that was just written its time, and reads what the index has to know of it.
fn settle(path: &Path, mtime: (u32, u32)) -> Result<(FileState, u64), GitError> {
    let time = rustix::fs::Timespec { tv_sec: i64::from(mtime.0), tv_nsec: i64::from(mtime.1) };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| GitError::io("set the time of", path)(e.into()))?;
    let meta = std::fs::symlink_metadata(path).map_err(GitError::io("read the state of", path))?;
    let state = FileState {
        mtime,
        ino: cut(meta.ino()),
        dev: cut(meta.dev()),
        // A size of 0 would say "look at the file": git writes 1 for multiples of 4 GiB.
        size: if meta.len() != 0 && cut(meta.len()) == 0 { 1 << 31 } else { cut(meta.len()) },
    };
    Ok((state, meta.len()))
}

/// The lower 32 bits: what an index holds.
#[expect(clippy::cast_possible_truncation, reason = "git's index is made so")]
fn cut(value: u64) -> u32 {
    value as u32
}

fn is_lfs_pointer(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
        && std::fs::read(path)
            .is_ok_and(|text| text.starts_with(b"version https://git-lfs.github.com/spec/"))
}
