//! Brings what an attempt did onto a person's checkout, as uncommitted changes: all of it or
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_domain::ids::{CommitId, Sha256 as DomainSha256};
use sha2::{Digest, Sha256};

use crate::config::{Git, blocking};
use crate::conflict::Conflict;
use crate::decide::{Decision, Side, decide};
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::lock::Lock;
use crate::merge::Meeting;
use crate::moves::{Move, Moves, recover};
use crate::path::RepoPath;
use crate::readings::ChangedPath;
use crate::results::ResultStore;
use crate::run::Run;
use crate::worktree::{Seen, look};

/// What to do where both sides changed the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Change nothing, and say where.
    Refuse,
    /// Leave what git leaves in a working tree: both sides with conflict markers where there are
    /// lines, else the file of the side that still has one, or of both under two names.
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
    /// Files in which both sides' changes were joined; under the name that they have by now.
    pub merged: Vec<RepoPath>,
    /// Files that were deleted, or have another name now.
    pub deleted: Vec<RepoPath>,
    /// Files that were as the attempt left them before.
    pub already: Vec<RepoPath>,
    /// Submodules whose commit the attempt changed: left as they are.
    pub submodules: Vec<RepoPath>,
    /// Where both sides differ: files with markers, and files left as they are.
    pub conflicts: Vec<Conflict>,
}

const CHANGED_LIMIT: usize = 100_000;
const APPLY_TIMEOUT: Duration = Duration::from_mins(10);

impl Git {
    /// Brings the difference between `base` and `head` (both in `store`) onto the checkout, as
    /// `git merge` would: files that are as in `base` become as in `head`, others are joined line
    /// by line, under the name that either side gave them. Index, commits and branches are not
    /// touched. All or nothing: a process that dies in the middle is undone by the next call (or
    /// by [`Git::recover_apply`]).
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
        if changes.is_empty() {
            return Ok(ApplyReport::AlreadyApplied);
        }
        let meeting = Meeting::make(self, store, checkout.common_dir.join("objects")).await?;
        let here = self.read_here(checkout, &meeting, &changes).await?;
        let merged = self.merge(&meeting, base, &here.tree, head).await?;
        let repository = meeting.repository();
        let results =
            self.changed_paths(&repository, &here.tree, &merged.tree, CHANGED_LIMIT).await?;
        // Looked at before it is read once more: what is changed later is told from it.
        let (top, asked) = (checkout.top_level.clone(), results.clone());
        let seen = blocking("look at the checkout", move || look(&top, &asked)).await?;
        let now = self.read_again(checkout, &meeting, &here, &seen).await?;
        let mut work = Work::default();
        work.report.conflicts = merged.conflicts;
        work.report.submodules = merged.submodules;
        work.note_already(&changes, &here.sides);
        let theirs: BTreeSet<&str> =
            changes.iter().filter_map(|change| change.new_blob.as_deref()).collect();
        for change in &results {
            let seen = seen.get(&change.path).unwrap_or(&Seen::Absent);
            let decision = decide(change, seen, now.get(&change.path));
            work.take(change, decision, &theirs)?;
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
        self.stage(checkout, &meeting, &work.results, &place).await?;
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

    /// Writes the results below `place/stage`, as the person's settings have them in a working
    /// tree.
    async fn stage(
        &self,
        checkout: &Checkout,
        meeting: &Meeting,
        results: &BTreeMap<RepoPath, Side>,
        place: &Path,
    ) -> Result<(), GitError> {
        let mut entries = Vec::new();
        for (path, side) in results {
            entries.extend_from_slice(format!("{:o} {}\t", side.mode, side.blob).as_bytes());
            entries.extend_from_slice(path.as_bytes());
            entries.push(0);
        }
        let index = place.join("index");
        let run = || self.with_index("prepare the files", checkout, meeting, &index);
        run().args(["update-index", "-z", "--index-info"]).input(entries).success().await?;
        let mut prefix = PathBuf::from(place).join("stage").into_os_string();
        prefix.push("/");
        let mut option = std::ffi::OsString::from("--prefix=");
        option.push(prefix);
        run()
            .args(["checkout-index", "-f", "-q", "-z", "--stdin"])
            .arg(option)
            .input(nul_terminated(results.keys()))
            .success()
            .await
    }

    /// A run of git in the checkout, with an index of ours, that writes objects into `meeting`.
    pub(crate) fn with_index<'a>(
        &'a self,
        doing: &'static str,
        checkout: &Checkout,
        meeting: &Meeting,
        index: &Path,
    ) -> Run<'a> {
        let mut run = self
            .person(doing, &checkout.git_dir, &checkout.top_level)
            .env("GIT_INDEX_FILE", index)
            .env("GIT_OBJECT_DIRECTORY", meeting.repository().objects_dir())
            .dies_with_us()
            .timeout(APPLY_TIMEOUT);
        for (name, value) in &checkout.disarm {
            run = run.named_setting(name, value);
        }
        run
    }
}

/// What was decided so far.
#[derive(Default)]
struct Work {
    report: Applied,
    results: BTreeMap<RepoPath, Side>,
    deletions: Vec<RepoPath>,
}

impl Work {
    /// Files of the change that lie here as the attempt left them.
    fn note_already(&mut self, changes: &[ChangedPath], here: &BTreeMap<RepoPath, Side>) {
        let conflicts: BTreeSet<&RepoPath> =
            self.report.conflicts.iter().map(|c| &c.path).collect();
        for change in changes.iter().filter(|c| !conflicts.contains(&c.path)) {
            if here.get(&change.path) == Side::after(change).as_ref() {
                self.report.already.push(change.path.clone());
            }
        }
    }

    /// `theirs` are the contents that the attempt gave files.
    fn take(
        &mut self,
        change: &ChangedPath,
        decision: Decision,
        theirs: &BTreeSet<&str>,
    ) -> Result<(), GitError> {
        let (path, report) = (change.path.clone(), &mut self.report);
        match decision {
            Decision::Already => report.already.push(path),
            Decision::Submodule => report.submodules.push(path),
            Decision::Conflict(kind) => report.conflicts.push(Conflict { path, kind }),
            Decision::Delete => {
                report.deleted.push(path.clone());
                self.deletions.push(path);
            }
            Decision::Write(side) => {
                if report.conflicts.iter().all(|conflict| conflict.path != path) {
                    let same = theirs.contains(side.blob.as_str());
                    if same { &mut report.written } else { &mut report.merged }.push(path.clone());
                }
                self.results.insert(path, side);
            }
            Decision::ChangedMeanwhile => {
                let why = format!("`{path}` was changed while the change was applied");
                return Err(GitError::malformed("the checkout", why));
            }
        }
        Ok(())
    }

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

/// Paths as git reads them from its standard input.
pub(crate) fn nul_terminated<'a>(paths: impl IntoIterator<Item = &'a RepoPath>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(0);
    }
    bytes
}
