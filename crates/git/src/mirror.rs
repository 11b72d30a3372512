//! Mirrors: bare repositories of ours that hold what a checkout or a remote repository holds.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_domain::ids::{CommitId, Sha256 as Digest256};
use sha2::{Digest, Sha256};

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::lock::Lock;
use crate::reachable::Walk;
use crate::refs::{Refs, packed_refs, read_refs, refs_digest};
use crate::repository::{ObjectFormat, Repository, make_bare};
use crate::transfer::link_objects;

/// A bare mirror below the data directory. Nothing is ever removed from one that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    pub(crate) repository: Repository,
    /// A name that is stable for the source: 32 hex digits.
    pub key: String,
}

impl Mirror {
    /// The repository, to read from.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Where its objects lie: shown inside, read-only, at [`crate::OBJECTS_INSIDE`].
    pub fn objects_dir(&self) -> PathBuf {
        self.repository.objects_dir()
    }

    /// Whether the commit and all its history are known to be here.
    pub(crate) fn knows(&self, commit: &CommitId) -> bool {
        self.known_mark(commit).exists()
    }

    /// Remembers that the commit and all its history are here.
    pub(crate) fn remember(&self, commit: &CommitId) -> Result<(), GitError> {
        let mark = self.known_mark(commit);
        std::fs::write(&mark, b"").map_err(GitError::io("write", &mark))
    }

    fn known_mark(&self, commit: &CommitId) -> PathBuf {
        self.repository.git_dir().join("quire/known").join(commit.as_str())
    }

    fn digest_file(&self) -> PathBuf {
        self.repository.git_dir().join("quire/refs-digest")
    }

    pub(crate) fn packed_refs_file(&self) -> PathBuf {
        self.repository.git_dir().join("packed-refs")
    }

    /// Writes the refs that `log` and `branch` show, in one step.
    pub(crate) fn write_refs(&self, refs: &Refs, source_digest: &str) -> Result<(), GitError> {
        write_whole(&self.packed_refs_file(), packed_refs(refs).as_bytes())?;
        write_whole(&self.digest_file(), source_digest.as_bytes())
    }

    fn is_current(&self, digest: &str, head: &CommitId) -> bool {
        self.knows(head)
            && std::fs::read(self.digest_file()).is_ok_and(|text| text == digest.as_bytes())
    }
}

/// Raised when a mirror holds other things than before: what was made until then serves the tasks
/// that name it, and no new ones. The first ones held what was uncommitted as well.
const LAYOUT: &[u8] = b"2 ";
const PATIENCE: Duration = Duration::from_mins(30);

impl Git {
    /// The mirror of a person's checkout, brought up to what the checkout holds now: its HEAD and
    /// all branches, tags and remote branches. Where nothing changed since the last time, no
    /// process is started.
    pub async fn mirror_checkout(&self, checkout: &Checkout) -> Result<Mirror, GitError> {
        let mirror = self.mirror_of(&checkout.common_dir, ObjectFormat::of(checkout.head.as_str()));
        let common = checkout.common_dir.clone();
        let refs = match blocking("read the refs", move || read_refs(&common)).await? {
            Some(refs) => refs,
            None => self.list_refs(&checkout.common_dir).await?,
        };
        let digest = refs_digest(&refs);
        if mirror.is_current(digest.as_str(), &checkout.head) {
            return Ok(mirror);
        }
        let _lock = self.lock_mirror(&mirror).await?;
        if mirror.is_current(digest.as_str(), &checkout.head) {
            return Ok(mirror);
        }
        if mirror.repository.git_dir().join("HEAD").exists() {
            self.add_news(&mirror, checkout, refs, digest.as_str()).await?;
        } else {
            self.make_mirror(&mirror, checkout, refs, digest.as_str()).await?;
        }
        Ok(mirror)
    }

    /// Brings one commit of a checkout with its history into its mirror, if it is not there yet:
    /// one that no branch names any more, for instance.
    pub async fn fetch_commit(
        &self,
        mirror: &Mirror,
        checkout: &Checkout,
        commit: &CommitId,
    ) -> Result<(), GitError> {
        if mirror.knows(commit) {
            return Ok(());
        }
        let _lock = self.lock_mirror(mirror).await?;
        let wanted = BTreeSet::from([commit.as_str().to_owned()]);
        self.bring(mirror, checkout, &wanted).await?;
        mirror.remember(commit)
    }

    /// The key of the mirror of a checkout, whether there is one yet or not.
    pub fn mirror_key(&self, checkout: &Checkout) -> String {
        self.mirror_of(&checkout.common_dir, ObjectFormat::of(checkout.head.as_str())).key
    }

    pub(crate) fn mirror_of(&self, source: &Path, object_format: ObjectFormat) -> Mirror {
        let mut hasher = Sha256::new();
        hasher.update(LAYOUT);
        hasher.update(source.as_os_str().as_bytes());
        let digest = hasher.finalize();
        let mut key = String::from(Digest256::from_bytes(&digest.into()));
        key.truncate(32);
        let git_dir = self.mirrors_dir().join(format!("{key}.git"));
        Mirror { repository: Repository::at(git_dir, object_format), key }
    }

    pub(crate) async fn lock_mirror(&self, mirror: &Mirror) -> Result<Lock, GitError> {
        let path = self.mirrors_dir().join(format!("{}.lock", mirror.key));
        Lock::wait("update the mirror", path, PATIENCE).await
    }

    /// The first time: everything is linked, then the directory gets its name.
    async fn make_mirror(
        &self,
        mirror: &Mirror,
        checkout: &Checkout,
        mut refs: Refs,
        digest: &str,
    ) -> Result<(), GitError> {
        let mut tips: BTreeSet<String> = refs.values().cloned().collect();
        tips.insert(checkout.head.as_str().to_owned());
        let mut half = self.link_mirror(mirror, checkout, &tips, Walk::Loose).await?;
        if !self.is_connected(half.path(), checkout, &tips).await? {
            half = self.link_mirror(mirror, checkout, &tips, Walk::All).await?;
        }
        let existing = self.existing(half.path(), &tips).await?;
        if !existing.contains(checkout.head.as_str()) {
            return Err(GitError::malformed(
                "the checkout",
                format!("its commit {} is missing from its objects", checkout.head),
            ));
        }
        refs.retain(|_, oid| existing.contains(oid));
        let target = mirror.repository.git_dir();
        let half = half.keep();
        std::fs::rename(&half, target).map_err(GitError::io("name the mirror", target))?;
        mirror.write_refs(&refs, digest)?;
        mirror.remember(&checkout.head)
    }

    /// A mirror with the objects of a checkout that `tips` reach: what the person staged, stashed
    /// or threw away is nobody else's to read.
    async fn link_mirror(
        &self,
        mirror: &Mirror,
        checkout: &Checkout,
        tips: &BTreeSet<String>,
        walk: Walk,
    ) -> Result<tempfile::TempDir, GitError> {
        let wanted = self.reachable(checkout, tips, walk).await?;
        let (mirrors, source) = (self.mirrors_dir(), checkout.common_dir.clone());
        let format = mirror.repository.object_format();
        blocking("make the mirror", move || {
            let half = tempfile::Builder::new()
                .prefix("half-")
                .tempdir_in(&mirrors)
                .map_err(GitError::io("make a directory in", &mirrors))?;
            prepare_bare(half.path(), format)?;
            link_objects(&source.join("objects"), &half.path().join("objects"), &wanted)?;
            copy_shallow(&source, half.path())?;
            Ok(half)
        })
        .await
    }

    /// Later: only what is new is copied.
    async fn add_news(
        &self,
        mirror: &Mirror,
        checkout: &Checkout,
        mut refs: Refs,
        digest: &str,
    ) -> Result<(), GitError> {
        copy_shallow(&checkout.common_dir, mirror.repository.git_dir())?;
        let mut wanted: BTreeSet<String> = refs.values().cloned().collect();
        wanted.insert(checkout.head.as_str().to_owned());
        let existing = self.bring(mirror, checkout, &wanted).await?;
        refs.retain(|_, oid| existing.contains(oid));
        mirror.write_refs(&refs, digest)?;
        mirror.remember(&checkout.head)
    }

    /// Copies what is missing of `wanted`; gives those of them that the checkout has.
    async fn bring(
        &self,
        mirror: &Mirror,
        checkout: &Checkout,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, GitError> {
        let mirror_dir = mirror.repository.git_dir();
        let known: BTreeSet<String> =
            read_refs(mirror_dir)?.unwrap_or_default().into_values().collect();
        let asked: BTreeSet<String> = wanted.union(&known).cloned().collect();
        let there = self.existing(&checkout.common_dir, &asked).await?;
        let head = checkout.head.as_str();
        if wanted.contains(head) && !there.contains(head) {
            return Err(GitError::malformed(
                "the checkout",
                format!("its commit {head} is missing"),
            ));
        }
        let had: BTreeSet<String> = known.intersection(&there).cloned().collect();
        let new: BTreeSet<String> = wanted
            .iter()
            .filter(|oid| there.contains(*oid) && !known.contains(*oid))
            .cloned()
            .collect();
        if !new.is_empty() {
            self.transfer(&checkout.common_dir, mirror_dir, &new, &had).await?;
        }
        Ok(there)
    }
}

/// An empty mirror in `dir`.
pub(crate) fn prepare_bare(dir: &Path, format: ObjectFormat) -> Result<(), GitError> {
    make_bare(dir, format, &[])?;
    let known = dir.join("quire/known");
    std::fs::create_dir_all(&known).map_err(GitError::io("make the directory", &known))
}

/// Where the history of a shallow clone ends: added to what the mirror has, never taken away, as
/// it has no more than was copied.
pub(crate) fn copy_shallow(source: &Path, mirror: &Path) -> Result<(), GitError> {
    let shallow = source.join("shallow");
    if !std::fs::symlink_metadata(&shallow).is_ok_and(|meta| meta.is_file()) {
        return Ok(());
    }
    let Ok(text) = std::fs::read_to_string(&shallow) else { return Ok(()) };
    let target = mirror.join("shallow");
    let old = std::fs::read_to_string(&target).unwrap_or_default();
    let all: BTreeSet<&str> = text.lines().chain(old.lines()).collect();
    let mut joined = all.into_iter().collect::<Vec<_>>().join("\n");
    joined.push('\n');
    if joined == old { Ok(()) } else { write_whole(&target, joined.as_bytes()) }
}

/// Writes a file under another name and renames it: readers see the old one or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".half-")
        .tempfile_in(dir)
        .map_err(GitError::io("write", path))?;
    std::io::Write::write_all(&mut file, bytes).map_err(GitError::io("write", path))?;
    file.persist(path).map_err(|e| GitError::io("write", path)(e.error))?;
    Ok(())
}
