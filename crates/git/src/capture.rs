//! Turns what is not committed in a checkout into one commit, in a store of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quire_domain::ids::{CommitId, Sha256 as Digest256};
use sha2::{Digest, Sha256};

use crate::apply::nul_terminated;
use crate::capture_store::{CaptureStore, HalfCapture};
use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::index::Index;
use crate::inspect::Checkout;
use crate::mirror::Mirror;
use crate::path::RepoPath;
use crate::refs::object_name;
use crate::remembered::{Fingerprint, Remembered};
use crate::repository::Repository;
use crate::run::Run;
use crate::task_repository::TaskRepository;

/// What a task starts from.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The commit to start on: HEAD, or one of ours on top of it.
    pub base: CommitId,
    /// The commit that is checked out.
    pub head: CommitId,
    /// The branch that is checked out; `None` if detached.
    pub branch: Option<String>,
    /// Files of uncommitted work in `base`; 0 if `base` is `head`.
    pub uncommitted: u32,
    /// Repositories inside the working tree that are not submodules: left out.
    pub nested: Vec<RepoPath>,
    /// Where `base` is, if it is ours.
    store: Option<CaptureStore>,
    private_index: Arc<tempfile::TempPath>,
    /// What the index does not say, where the files were not read again.
    remembered: Option<Arc<Remembered>>,
}

/// When the files of a checkout were last modified, each with the content it has.
#[derive(Debug, Clone)]
pub struct SourceTimes {
    /// By it two such are told apart.
    pub digest: Digest256,
    /// Path to blob and modification time.
    pub(crate) files: HashMap<RepoPath, (Vec<u8>, (u32, u32))>,
}

/// The most files that may be uncommitted.
const UNCOMMITTED_LIMIT: usize = 500_000;
const CAPTURE_TIMEOUT: Duration = Duration::from_mins(15);
const MESSAGE: &str =
    "Uncommitted work\n\nTracked changes and new files as they were when the task began.\n";

impl Git {
    /// Makes what is not committed (tracked changes, and files that are neither tracked nor
    /// ignored) into one commit on top of HEAD, in a store of its own beside the mirror. Author and
    /// date are fixed, so the same files on the same HEAD give the same commit and the same store.
    /// The checkout is not touched; submodules stay at the commit that is recorded for them.
    pub async fn capture(
        &self,
        checkout: &Checkout,
        mirror: &Mirror,
    ) -> Result<Captured, GitError> {
        let mut nested = Vec::new();
        let mut paths = Vec::new();
        // Read anew below, so forgotten first: what was staged lies in the checkout's objects alone.
        let (present, mut forgotten) = checkout.status.present_and_gone();
        for entry in checkout.status.changed.iter().filter(|e| !e.submodule) {
            if entry.staged != b'.' && entry.unstaged == b'.' {
                forgotten.push(entry.path.clone());
            }
            paths.push(entry.path.clone());
        }
        for path in &checkout.status.untracked {
            if path.as_bytes().ends_with(b"/") {
                nested.push(path.clone());
            } else {
                paths.push(path.clone());
            }
        }
        paths.sort();
        let mut captured = Captured {
            base: checkout.head.clone(),
            head: checkout.head.clone(),
            branch: checkout.branch.clone(),
            uncommitted: u32::try_from(paths.len()).unwrap_or(u32::MAX),
            nested,
            store: None,
            private_index: checkout.private_index.clone(),
            remembered: None,
        };
        if paths.is_empty() {
            return Ok(captured);
        }
        if paths.len() > UNCOMMITTED_LIMIT {
            return Err(GitError::OverLimit {
                what: "the number of uncommitted files",
                limit: UNCOMMITTED_LIMIT as u64,
            });
        }
        let (looked_at, place, listed) = (checkout.clone(), mirror.clone(), paths.clone());
        let (fingerprint, remembered) = blocking("look at the uncommitted files", move || {
            let fingerprint = Fingerprint::of(&looked_at, &listed);
            let remembered = fingerprint.as_ref().and_then(|f| f.recall(&place));
            Ok((fingerprint, remembered))
        })
        .await?;
        if let Some(remembered) = remembered
            && let Some(store) = self.recall_capture(mirror, &remembered.base).await?
        {
            captured.store = Some(store);
            captured.base = remembered.base.clone();
            captured.remembered = Some(Arc::new(remembered));
            return Ok(captured);
        }
        // The index on disk may be shared with another capture of the same reading.
        let private_index = Arc::new(own_copy(checkout, self).await?);
        let (captures, place) = (self.captures_dir(), mirror.clone());
        let half =
            blocking("make the capture", move || HalfCapture::make(&captures, &place)).await?;
        let objects = half.objects_dir();
        if !forgotten.is_empty() {
            self.update_index(checkout, &objects, &private_index)
                .args(["update-index", "--force-remove", "-z", "--stdin"])
                .input(nul_terminated(&forgotten))
                .success()
                .await?;
        }
        let (added, date) = tokio::join!(
            self.update_index(checkout, &objects, &private_index)
                .args(["update-index", "--add", "--remove", "--replace", "-z", "--stdin"])
                .input(nul_terminated(&present))
                .success(),
            self.commit_date(&mirror.repository, &checkout.head),
        );
        added?;
        let date = date?;
        let tree = self.write_tree(checkout, mirror, &objects, &private_index).await?;
        let commit = self.commit_tree(mirror, &objects, &tree, &checkout.head, date).await?;
        let (captures, place, named) = (self.captures_dir(), mirror.clone(), commit.clone());
        let store = blocking("keep the capture", move || half.finish(&captures, &place, &named));
        captured.store = Some(store.await?);
        captured.base = commit.clone();
        captured.private_index = private_index.clone();
        if let Some(fingerprint) = fingerprint {
            let mirror = mirror.clone();
            blocking("note what was captured", move || {
                let bytes = std::fs::read(&**private_index)
                    .map_err(GitError::io("read", &**private_index))?;
                let capture = Remembered::of(commit, &paths, &Index::parse(bytes)?);
                fingerprint.remember(&mirror, &capture)
            })
            .await?;
        }
        Ok(captured)
    }

    fn update_index<'a>(&'a self, checkout: &Checkout, objects: &Path, index: &Path) -> Run<'a> {
        let mut run = self
            .person("read the uncommitted files", &checkout.git_dir, &checkout.top_level)
            .env("GIT_INDEX_FILE", index)
            // Not with the checkout's as alternates: git would not write what it finds there.
            .env("GIT_OBJECT_DIRECTORY", objects)
            .setting("core.compression=1")
            .timeout(CAPTURE_TIMEOUT);
        for (name, value) in &checkout.disarm {
            run = run.named_setting(name, value);
        }
        run
    }

    async fn write_tree(
        &self,
        checkout: &Checkout,
        mirror: &Mirror,
        objects: &Path,
        index: &Path,
    ) -> Result<String, GitError> {
        let mut run = self
            .ours("write the uncommitted files as a tree", mirror.repository.git_dir())
            .env("GIT_INDEX_FILE", index)
            .env("GIT_OBJECT_DIRECTORY", objects)
            .timeout(CAPTURE_TIMEOUT)
            .arg("write-tree");
        if checkout.settings.contains_key("extensions.partialclone") {
            run = run.arg("--missing-ok");
        }
        object_name(&run.output().await?)
    }

    /// A commit of ours: fixed author, the given date.
    async fn commit_tree(
        &self,
        mirror: &Mirror,
        objects: &Path,
        tree: &str,
        parent: &CommitId,
        date: i64,
    ) -> Result<CommitId, GitError> {
        let date = format!("@{date} +0000");
        let mut run = self
            .ours("commit the uncommitted files", mirror.repository.git_dir())
            .env("GIT_OBJECT_DIRECTORY", objects);
        for role in ["AUTHOR", "COMMITTER"] {
            run = run
                .env(&format!("GIT_{role}_NAME"), "Quire")
                .env(&format!("GIT_{role}_EMAIL"), "quire@localhost")
                .env(&format!("GIT_{role}_DATE"), &date);
        }
        let output =
            run.args(["commit-tree", tree, "-p", parent.as_str()]).input(MESSAGE).output().await?;
        CommitId::parse(&object_name(&output)?)
            .map_err(|e| GitError::malformed("the output of git commit-tree", e.to_string()))
    }

    /// The committer's date, in seconds since 1970.
    pub(crate) async fn commit_date(
        &self,
        repository: &Repository,
        commit: &CommitId,
    ) -> Result<i64, GitError> {
        let output = self
            .ours("read a commit", repository.git_dir())
            .args(["cat-file", "commit", commit.as_str()])
            .output_limit(16 << 20)
            .output()
            .await?;
        output
            .split(|b| *b == b'\n')
            .take_while(|line| !line.is_empty())
            .find(|line| line.starts_with(b"committer "))
            .and_then(|line| line.rsplit(|b| *b == b' ').nth(1))
            .and_then(|date| std::str::from_utf8(date).ok()?.parse().ok())
            .ok_or_else(|| GitError::malformed("a commit", "it has no date"))
    }
}

impl Captured {
    /// What a task that begins here reads its repository from; `mirror` is the one that was
    /// captured beside.
    pub fn repository(&self, mirror: &Mirror) -> TaskRepository {
        TaskRepository::new(mirror.clone(), self.store.clone())
    }

    /// When the files of `base` were last modified in the checkout: what build tools compare
    /// with their artefacts.
    pub async fn source_times(&self) -> Result<SourceTimes, GitError> {
        let (path, remembered) = (self.private_index.clone(), self.remembered.clone());
        blocking("read the index", move || {
            let bytes = std::fs::read(&**path).map_err(GitError::io("read", &**path))?;
            Ok(SourceTimes::of(&Index::parse(bytes)?, remembered.as_deref()))
        })
        .await
    }
}

impl SourceTimes {
    fn of(index: &Index, remembered: Option<&Remembered>) -> Self {
        let mut all: HashMap<RepoPath, (Vec<u8>, (u32, u32))> =
            HashMap::with_capacity(index.entries().len());
        for entry in index.entries() {
            // A size of 0 also marks an entry whose file must be looked at; an empty file loses
            // nothing by a newer time.
            if entry.is_gitlink() || entry.stage != 0 || entry.size == 0 || index.is_partial() {
                continue;
            }
            all.insert(entry.path.clone(), (entry.oid.clone(), entry.mtime));
        }
        for file in remembered.iter().flat_map(|remembered| &remembered.files) {
            let path = RepoPath::new(file.path.clone());
            match &file.content {
                Some(content) => all.insert(path, content.clone()),
                None => all.remove(&path),
            };
        }
        let mut sorted: Vec<_> = all.iter().collect();
        sorted.sort_unstable();
        let mut hasher = Sha256::new();
        for (path, (oid, mtime)) in sorted {
            hasher.update(oid);
            hasher.update(mtime.0.to_be_bytes());
            hasher.update(mtime.1.to_be_bytes());
            hasher.update(path.as_bytes());
            hasher.update([0]);
        }
        Self { digest: Digest256::from_bytes(&hasher.finalize().into()), files: all }
    }
}

async fn own_copy(checkout: &Checkout, git: &Git) -> Result<tempfile::TempPath, GitError> {
    let (source, quarantine) = (checkout.private_index.clone(), git.quarantine_dir());
    blocking("copy the index", move || crate::inspect::copy_index_file(&source, &quarantine)).await
}
