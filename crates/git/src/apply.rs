//! Brings what an attempt did onto a person's checkout, as uncommitted changes: all of it or
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_domain::ids::{CommitId, Sha256 as DomainSha256};
use sha2::{Digest, Sha256};

use crate::config::{Git, blocking};
use crate::decide::{Decision, Side, decide};
use crate::error::GitError;
use crate::index::Index;
use crate::inspect::{Checkout, copy_index_file};
use crate::lock::Lock;
use crate::moves::{Move, Moves, recover};
use crate::path::RepoPath;
use crate::readings::ChangedPath;
use crate::results::ResultStore;
use crate::worktree::{Seen, look};

/// What to do where both sides changed the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Change nothing, and say where.
    Refuse,
    /// Write both sides with conflict markers where that is possible, and say where.
    WriteMarkers,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyReport {
    /// The checkout already holds every change.
    AlreadyApplied,
    /// It was brought onto the checkout.
    Applied(Applied),
    /// Nothing was touched, because of these.
    Refused(Vec<Conflict>),
}

/// What was brought onto the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Files that were written as the attempt left them.
    pub written: Vec<RepoPath>,
    /// Files in which both sides' changes were joined.
    pub merged: Vec<RepoPath>,
    /// Files that were deleted.
    pub deleted: Vec<RepoPath>,
    /// Files that were as the attempt left them before.
    pub already: Vec<RepoPath>,
    /// Submodules whose commit the attempt changed: left as they are.
    pub submodules: Vec<RepoPath>,
    /// Where both sides differ: files with markers, and files left as they are.
    pub conflicts: Vec<Conflict>,
}

/// A file that could not be joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which.
    pub path: RepoPath,
    /// Why.
    pub kind: ConflictKind,
}

/// Why a file could not be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// Both sides changed the same lines.
    Lines,
    /// Both sides changed a file that has no lines.
    Binary,
    /// The attempt made a file where another one is.
    InTheWay,
    /// The attempt changed a file that is gone here.
    GoneHere,
    /// The attempt deleted a file that was changed here.
    ChangedHere,
    /// One side made it another kind of thing: a link, a directory.
    Kind,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.kind {
            ConflictKind::Lines => "the same lines were changed on both sides",
            ConflictKind::Binary => "a binary file was changed on both sides",
            ConflictKind::InTheWay => "another file of that name is in the way",
            ConflictKind::GoneHere => "it was changed by the attempt and is gone here",
            ConflictKind::ChangedHere => "it was deleted by the attempt and changed here",
            ConflictKind::Kind => "it is a link or a directory on one side only",
        };
        write!(f, "{}: {why}", self.path)
    }
}

const CHANGED_LIMIT: usize = 100_000;
const APPLY_TIMEOUT: Duration = Duration::from_mins(10);

impl Git {
    /// Brings the difference between `base` and `head` (both in `store`) onto the checkout: files
    /// that are as in `base` are written, others are joined line by line. Index, commits and
    /// branches are not touched. All or nothing: a process that dies in the middle is undone by
    /// the next call (or by [`Git::recover_apply`]).
    pub async fn apply(
        &self,
        checkout: &Checkout,
        store: &ResultStore,
        base: &CommitId,
        head: &CommitId,
        on_conflict: OnConflict,
    ) -> Result<ApplyReport, GitError> {
        let place = apply_dir(checkout);
        let lock = self.apply_lock(checkout);
        let _lock = Lock::wait("apply the change", lock, Duration::from_mins(1)).await?;
        self.undo_left_over(checkout).await?;
        let (changes, _) = self.changes(store.repository(), base, head, CHANGED_LIMIT).await?;
        let (top, seen_changes) = (checkout.top_level.clone(), changes.clone());
        let seen = blocking("look at the checkout", move || look(&top, &seen_changes)).await?;
        let ours = self.hash_ours(checkout, store, &seen).await?;
        let mut work = Work::default();
        for change in &changes {
            self.one_file(store, change, &seen, &ours, on_conflict, &mut work).await?;
        }
        if on_conflict == OnConflict::Refuse && !work.report.conflicts.is_empty() {
            return Ok(ApplyReport::Refused(work.report.conflicts));
        }
        if work.results.is_empty() && work.deletions.is_empty() {
            return Ok(if work.report.conflicts.is_empty() {
                ApplyReport::AlreadyApplied
            } else {
                ApplyReport::Refused(work.report.conflicts)
            });
        }
        make_apply_dir(&place)?;
        self.stage(checkout, store, &work.results, &place).await?;
        let list = work.moves(&seen);
        let top = checkout.top_level.clone();
        blocking("apply the change", move || Moves { top, place, list }.run()).await?;
        Ok(ApplyReport::Applied(work.report))
    }

    /// Undoes what an [`Git::apply`] that died had begun; does nothing if there is none. Whatever
    /// was written since by others is kept.
    pub async fn recover_apply(&self, checkout: &Checkout) -> Result<(), GitError> {
        if !apply_dir(checkout).exists() {
            return Ok(());
        }
        let lock = self.apply_lock(checkout);
        let _lock = Lock::wait("undo the change", lock, Duration::from_mins(1)).await?;
        self.undo_left_over(checkout).await
    }

    async fn undo_left_over(&self, checkout: &Checkout) -> Result<(), GitError> {
        let (top, place) = (checkout.top_level.clone(), apply_dir(checkout));
        blocking("undo the change", move || recover(&top, &place)).await
    }

    /// The blobs of the files as they are here, written into the store so that they can be
    /// joined. Read through the person's own settings: line endings, filters.
    async fn hash_ours(
        &self,
        checkout: &Checkout,
        store: &ResultStore,
        seen: &BTreeMap<RepoPath, Seen>,
    ) -> Result<BTreeMap<RepoPath, Side>, GitError> {
        let mut paths = Vec::new();
        for (path, _) in seen.iter().filter(|(_, seen)| seen.is_file_or_link()) {
            paths.extend_from_slice(path.as_bytes());
            paths.push(0);
        }
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (source, quarantine) = (checkout.private_index.clone(), self.quarantine_dir());
        let index =
            blocking("copy the index", move || copy_index_file(&source, &quarantine)).await?;
        // Forgotten first, so that every one is read and written.
        for args in [&["--force-remove"][..], &["--add", "--replace"][..]] {
            let mut run = self
                .person("read the files", &checkout.git_dir, &checkout.top_level)
                .env("GIT_INDEX_FILE", &index)
                .env("GIT_OBJECT_DIRECTORY", store.repository().objects_dir())
                .dies_with_us()
                .timeout(APPLY_TIMEOUT);
            for (name, value) in &checkout.disarm {
                run = run.named_setting(name, value);
            }
            run.arg("update-index")
                .args(args)
                .args(["-z", "--stdin"])
                .input(paths.clone())
                .success()
                .await?;
        }
        let wanted: BTreeSet<RepoPath> =
            seen.iter().filter(|(_, s)| s.is_file_or_link()).map(|(p, _)| p.clone()).collect();
        blocking("read the index", move || {
            let bytes = std::fs::read(&index).map_err(GitError::io("read", &index))?;
            let index = Index::parse(bytes)?;
            Ok(index
                .entries()
                .iter()
                .filter(|entry| wanted.contains(&entry.path))
                .map(|entry| {
                    let side = Side { mode: entry.mode, blob: hex(&entry.oid) };
                    (entry.path.clone(), side)
                })
                .collect())
        })
        .await
    }

    async fn one_file(
        &self,
        store: &ResultStore,
        change: &ChangedPath,
        seen: &BTreeMap<RepoPath, Seen>,
        ours: &BTreeMap<RepoPath, Side>,
        on_conflict: OnConflict,
        work: &mut Work,
    ) -> Result<(), GitError> {
        let path = &change.path;
        let seen = seen.get(path).unwrap_or(&Seen::Absent);
        let conflict = |kind| Conflict { path: path.clone(), kind };
        let report = &mut work.report;
        match decide(change, seen, ours.get(path)) {
            Decision::Already => report.already.push(path.clone()),
            Decision::Submodule => report.submodules.push(path.clone()),
            Decision::Conflict(kind) => report.conflicts.push(conflict(kind)),
            Decision::Delete => {
                report.deleted.push(path.clone());
                work.deletions.push(path.clone());
            }
            Decision::Write(side) => {
                report.written.push(path.clone());
                work.results.insert(path.clone(), side);
            }
            Decision::Join { base, ours, theirs, mode } => {
                match self.join(store, [&ours, &base, &theirs]).await? {
                    Joined::Clean(blob) => {
                        report.merged.push(path.clone());
                        work.results.insert(path.clone(), Side { mode, blob });
                    }
                    Joined::Marked(blob) => {
                        report.conflicts.push(conflict(ConflictKind::Lines));
                        if on_conflict == OnConflict::WriteMarkers {
                            work.results.insert(path.clone(), Side { mode, blob });
                        }
                    }
                    Joined::Binary => report.conflicts.push(conflict(ConflictKind::Binary)),
                }
            }
        }
        Ok(())
    }

    /// Joins three blobs line by line.
    async fn join(&self, store: &ResultStore, blobs: [&str; 3]) -> Result<Joined, GitError> {
        const FILE_LIMIT: usize = 256 << 20;
        let quarantine = self.quarantine_dir();
        let dir = blocking("make a directory", move || {
            tempfile::Builder::new()
                .prefix("join-")
                .tempdir_in(&quarantine)
                .map_err(GitError::io("make a directory in", &quarantine))
        })
        .await?;
        for (name, blob) in ["ours", "base", "theirs"].into_iter().zip(blobs) {
            let content = self.read_blob(store.repository(), blob, FILE_LIMIT).await?;
            if content.iter().take(8000).any(|b| *b == 0) {
                return Ok(Joined::Binary);
            }
            let path = dir.path().join(name);
            tokio::fs::write(&path, &content).await.map_err(GitError::io("write", &path))?;
        }
        let git_dir = store.repository().git_dir();
        let ended = self
            .ours("join the changes", git_dir)
            .args(["merge-file", "-p", "-q", "-L", "yours", "-L", "base", "-L", "attempt", "--"])
            .args(["ours", "base", "theirs"].map(|name| dir.path().join(name)))
            .output_limit(FILE_LIMIT * 2)
            .timeout(APPLY_TIMEOUT)
            .end()
            .await?;
        let Some(conflicts @ 0..=127) = ended.code else {
            return Err(ended.failed("join the changes"));
        };
        let blob = self
            .ours("keep the joined file", git_dir)
            .args(["hash-object", "-w", "-t", "blob", "--no-filters", "--stdin"])
            .input(ended.output)
            .output()
            .await?;
        let blob = String::from_utf8_lossy(&blob).trim().to_owned();
        Ok(if conflicts == 0 { Joined::Clean(blob) } else { Joined::Marked(blob) })
    }

    /// Writes the results below `place/stage`, as the person's settings have them in a working
    /// tree.
    async fn stage(
        &self,
        checkout: &Checkout,
        store: &ResultStore,
        results: &BTreeMap<RepoPath, Side>,
        place: &Path,
    ) -> Result<(), GitError> {
        let mut entries = Vec::new();
        let mut paths = Vec::new();
        for (path, side) in results {
            entries.extend_from_slice(format!("{:o} {}\t", side.mode, side.blob).as_bytes());
            entries.extend_from_slice(path.as_bytes());
            entries.push(0);
            paths.extend_from_slice(path.as_bytes());
            paths.push(0);
        }
        let run = |doing| {
            let mut run = self
                .person(doing, &checkout.git_dir, &checkout.top_level)
                .env("GIT_INDEX_FILE", place.join("index"))
                .env("GIT_OBJECT_DIRECTORY", store.repository().objects_dir())
                .dies_with_us()
                .timeout(APPLY_TIMEOUT);
            for (name, value) in &checkout.disarm {
                run = run.named_setting(name, value);
            }
            run
        };
        run("prepare the files")
            .args(["update-index", "-z", "--index-info"])
            .input(entries)
            .success()
            .await?;
        let mut prefix = PathBuf::from(place).join("stage").into_os_string();
        prefix.push("/");
        let mut option = std::ffi::OsString::from("--prefix=");
        option.push(prefix);
        run("prepare the files")
            .args(["checkout-index", "-f", "-q", "-z", "--stdin"])
            .arg(option)
            .input(paths)
            .success()
            .await
    }
}

enum Joined {
    Clean(String),
    Marked(String),
    Binary,
}

#[derive(Default)]
struct Work {
    report: Applied,
    results: BTreeMap<RepoPath, Side>,
    deletions: Vec<RepoPath>,
}

impl Work {
    /// Deletions first: a directory may come where a file was.
    fn moves(&self, seen: &BTreeMap<RepoPath, Seen>) -> Vec<Move> {
        let before = |path: &RepoPath| seen.get(path).and_then(Seen::state);
        let mut moves: Vec<Move> = self
            .deletions
            .iter()
            .map(|path| Move { path: path.clone(), before: before(path), writes: false })
            .collect();
        for path in self.results.keys() {
            moves.push(Move { path: path.clone(), before: before(path), writes: true });
        }
        moves
    }
}

impl Git {
    /// In the data directory: nobody else can put anything in its place.
    fn apply_lock(&self, checkout: &Checkout) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let digest = Sha256::digest(checkout.git_dir.as_os_str().as_bytes());
        let name = DomainSha256::from_bytes(&digest.into());
        self.mirrors_dir().join(format!("apply-{name}.lock"))
    }
}

fn apply_dir(checkout: &Checkout) -> PathBuf {
    checkout.git_dir.join("quire-apply")
}

fn make_apply_dir(place: &Path) -> Result<(), GitError> {
    for name in ["stage", "before"] {
        crate::config::make_private_dir(&place.join(name))?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
