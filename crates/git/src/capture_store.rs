//! Where what was uncommitted lies: in a store of its own for each capture, never in the mirror,
//! since every task of the repository reads that.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quire_domain::ids::CommitId;

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::evict::remove_unheld;
use crate::layer::{is_settled, touch};
use crate::lock::{HELD, Hold, Lock};
use crate::manifest::boot_id;
use crate::mirror::{Mirror, copy_shallow};
use crate::repository::{ALTERNATES, Repository, make_bare, make_objects};

/// The objects of one capture, shown to the tasks that start from it and to no other. Held for as
/// long as this value or a clone of it lives.
#[derive(Debug, Clone)]
pub(crate) struct CaptureStore {
    repository: Repository,
    objects: PathBuf,
    _held: Arc<Lock>,
}

impl CaptureStore {
    /// A repository to read from: it has what was captured, and what the mirror has.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The objects that the mirror does not have. No file here names another directory.
    pub(crate) fn objects_dir(&self) -> &Path {
        &self.objects
    }

    fn at(dir: &Path, mirror: &Mirror, held: Lock) -> Self {
        let format = mirror.repository.object_format();
        Self {
            repository: Repository::at(dir.join(GIT), format),
            objects: dir.join(OBJECTS),
            _held: Arc::new(held),
        }
    }
}

const OBJECTS: &str = "objects";
const GIT: &str = "git";
/// Names the boot in which it was made; with it the capture is whole.
const BOOT: &str = "boot";

/// What a store is called: by mirror and commit, since the same files on the same HEAD give the
/// same commit in two clones.
pub(crate) fn name_of(mirror_key: &str, commit: &CommitId) -> String {
    format!("{mirror_key}-{commit}")
}

impl Git {
    /// The store of what was captured as `commit`; `None` if that is no capture.
    pub(crate) async fn open_capture(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
    ) -> Result<Option<CaptureStore>, GitError> {
        let dir = self.captures_dir().join(name_of(&mirror.key, commit));
        let mirror = mirror.clone();
        blocking("open the capture", move || open(&dir, &mirror)).await
    }

    /// As [`Git::open_capture`], if it can be trusted to be on disk: a machine that went down soon
    /// after a capture may have lost some of it.
    pub(crate) async fn recall_capture(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
    ) -> Result<Option<CaptureStore>, GitError> {
        let dir = self.captures_dir().join(name_of(&mirror.key, commit));
        let mirror = mirror.clone();
        let recall = move || if is_whole(&dir) { open(&dir, &mirror) } else { Ok(None) };
        blocking("open the capture", recall).await
    }
}

fn open(dir: &Path, mirror: &Mirror) -> Result<Option<CaptureStore>, GitError> {
    if !dir.join(BOOT).exists() {
        return Ok(None);
    }
    let Some(held) = Lock::share_soon(&dir.join(HELD))? else { return Ok(None) };
    // By its time it is known which were not asked for in a while.
    touch(dir);
    Ok(Some(CaptureStore::at(dir, mirror, held)))
}

fn is_whole(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join(BOOT)).is_ok_and(|boot| is_settled(dir, BOOT, &boot))
}

/// Whether a name could not be given as another has it.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty)
}

/// A store that is being filled: gone when dropped, and recognisable by its lock when left.
pub(crate) struct HalfCapture {
    dir: tempfile::TempDir,
    held: Lock,
}

impl HalfCapture {
    /// An empty one. What the mirror has is not written again.
    pub(crate) fn make(captures: &Path, mirror: &Mirror) -> Result<Self, GitError> {
        let dir = tempfile::Builder::new()
            .prefix("half-")
            .tempdir_in(captures)
            .map_err(GitError::io("make a directory in", captures))?;
        let held = Lock::try_now(&dir.path().join(HELD), Hold::Alone)?
            .ok_or_else(|| GitError::malformed("the new capture", "someone holds it"))?;
        make_objects(&dir.path().join(OBJECTS), &[mirror.objects_dir()])?;
        Ok(Self { dir, held })
    }

    /// Where objects are to be written.
    pub(crate) fn objects_dir(&self) -> PathBuf {
        self.dir.path().join(OBJECTS)
    }

    /// Gives it the name of the commit that it was filled with.
    pub(crate) fn finish(
        self,
        captures: &Path,
        mirror: &Mirror,
        commit: &CommitId,
    ) -> Result<CaptureStore, GitError> {
        let target = captures.join(name_of(&mirror.key, commit));
        let half = self.dir.path();
        let alternates = [mirror.objects_dir(), target.join(OBJECTS)];
        make_bare(&half.join(GIT), mirror.repository.object_format(), &alternates)?;
        copy_shallow(mirror.repository.git_dir(), &half.join(GIT))?;
        // Inside, what it names would be missing, and it would tell where the data lies.
        let named = self.objects_dir().join(ALTERNATES);
        std::fs::remove_file(&named).map_err(GitError::io("remove", &named))?;
        let boot = half.join(BOOT);
        std::fs::write(&boot, boot_id()).map_err(GitError::io("write", &boot))?;
        // Not given back and taken again: no one may come between.
        self.held.share(half)?;
        for _ in 0..3 {
            // One of its name has the same in it. It goes where the machine went down since and
            // nobody reads it.
            if target.exists()
                && (is_whole(&target) || !remove_unheld(&target)?)
                && let Some(store) = open(&target, mirror)?
            {
                return Ok(store);
            }
            match std::fs::rename(half, &target) {
                Ok(()) => {
                    let _ = self.dir.keep();
                    return Ok(CaptureStore::at(&target, mirror, self.held));
                }
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(GitError::io("name the capture", &target)(error)),
            }
        }
        Err(GitError::malformed("the new capture", "others of its name come and go"))
    }
}
