//! Takes a pack from a sandbox: into quarantine, checked, then into the task's results.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quire_domain::attempt::DiffStat;
use quire_domain::ids::CommitId;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::lock::{HELD, Hold, Lock};
use crate::log::CommitInfo;
use crate::mirror::{copy_shallow, write_whole};
use crate::readings::ChangedPath;
use crate::repository::{Repository, make_bare};
use crate::results::{ResultStore, attempt_ref};
use crate::transfer::read_pack_header;

/// How much an attempt may hand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveLimits {
    /// Bytes of the pack.
    pub pack_bytes: u64,
    /// Objects in the pack.
    pub objects: u32,
    /// Files that differ from the base.
    pub changed_files: usize,
    /// Commits on top of the base.
    pub commits: usize,
    /// Processor time of each step that reads the pack, in seconds.
    pub cpu_seconds: u64,
    /// Wall-clock time of each step.
    pub timeout: Duration,
}

impl Default for ReceiveLimits {
    fn default() -> Self {
        Self {
            pack_bytes: 512 << 20,
            objects: 500_000,
            changed_files: 50_000,
            commits: 10_000,
            cpu_seconds: 30,
            timeout: Duration::from_mins(2),
        }
    }
}

/// What an attempt handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its last commit.
    pub head: CommitId,
    /// Whether the base is an ancestor of `head`: if not, history was rewritten.
    pub base_is_ancestor: bool,
    /// The commits on top of the base, oldest first.
    pub commits: Vec<CommitInfo>,
    /// The size of the whole change.
    pub diff_stat: DiffStat,
    /// Each file that differs from the base.
    pub changed: Vec<ChangedPath>,
}

impl Git {
    /// Reads the pack that [`crate::export_argv`] printed inside, checks it, and keeps it under
    /// `label` (an attempt's id). `head` is what [`crate::head_argv`] printed, still untrusted.
    /// Receiving again under the same label replaces what was there.
    ///
    /// # Errors
    ///
    /// [`GitError::Refused`] and [`GitError::OverLimit`] for what was handed in; then nothing is
    /// kept.
    pub async fn receive<R>(
        &self,
        store: &ResultStore,
        base: &CommitId,
        head: &str,
        label: &str,
        mut pack: R,
        limits: &ReceiveLimits,
    ) -> Result<Received, GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let reference = store.repository.git_dir().join(attempt_ref(label)?);
        let head = CommitId::parse(head.trim_end_matches('\n'))
            .ok()
            .filter(|head| head.as_str().len() == base.as_str().len())
            .ok_or_else(|| GitError::Refused { why: "HEAD inside is no commit".to_owned() })?;
        let quarantine = Quarantine::make(self, store).await?;
        let repository = quarantine.repository(store);
        if self.index_pack(&repository, &mut pack, limits).await? {
            self.check_connected(&repository, base, &head, limits).await?;
        }
        let range = (base, &head);
        let received = self.read_received(&repository, range, limits).await?;
        let (target, from) = (store.repository.objects_dir().join("pack"), quarantine.packs());
        blocking("keep the result", move || {
            move_packs(&from, &target)?;
            if let Some(parent) = reference.parent() {
                crate::attempt::make_dir(parent)?;
            }
            write_whole(&reference, format!("{}\n", received.head).as_bytes())?;
            Ok(received)
        })
        .await
    }

    /// Indexes the pack; `false` if it holds nothing.
    pub(crate) async fn index_pack<R>(
        &self,
        repository: &Repository,
        pack: &mut R,
        limits: &ReceiveLimits,
    ) -> Result<bool, GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let header = tokio::time::timeout(limits.timeout, read_pack_header(pack))
            .await
            .map_err(|_| GitError::Timeout { doing: "read the pack", after: limits.timeout })??;
        let Some((objects, header)) = header else {
            return Err(GitError::Refused { why: "what was sent is no pack".to_owned() });
        };
        if objects > limits.objects {
            return Err(GitError::OverLimit {
                what: "the number of objects in the result",
                limit: u64::from(limits.objects),
            });
        }
        if objects == 0 {
            return Ok(false);
        }
        // One byte more than allowed, so that a pack that is too long is told from one cut short.
        let mut bounded = header.chain(pack).take(limits.pack_bytes + 1);
        let ended = self
            .ours("check the pack", repository.git_dir())
            .args(["index-pack", "--stdin", "--fix-thin", "--strict", "--fsck-objects"])
            .args(["--threads=1", &format!("--max-input-size={}", limits.pack_bytes)])
            .cpu_seconds(limits.cpu_seconds)
            .timeout(limits.timeout)
            .output_limit(1 << 20)
            .end_with(&mut bounded)
            .await?;
        match ended.code {
            Some(0) => Ok(true),
            None => Err(GitError::OverLimit {
                what: "the work to unpack the result, in seconds,",
                limit: limits.cpu_seconds,
            }),
            Some(_) if bounded.limit() == 0 => Err(GitError::OverLimit {
                what: "the size of the result, in bytes,",
                limit: limits.pack_bytes,
            }),
            Some(_) => match ended.failed("check the pack") {
                full @ GitError::DiskFull { .. } => Err(full),
                _ => Err(GitError::Refused { why: ended.first_error_line() }),
            },
        }
    }

    /// Whether everything that `head` reaches is there.
    pub(crate) async fn check_connected(
        &self,
        repository: &Repository,
        base: &CommitId,
        head: &CommitId,
        limits: &ReceiveLimits,
    ) -> Result<(), GitError> {
        let ended = self
            .ours("check the result", repository.git_dir())
            .args(["rev-list", "--objects", "--quiet", "--end-of-options"])
            .args([&format!("{head}^{{commit}}"), &format!("^{base}")])
            .cpu_seconds(limits.cpu_seconds)
            .timeout(limits.timeout)
            .output_limit(1 << 20)
            .end()
            .await?;
        match ended.code {
            Some(0) => Ok(()),
            _ => Err(GitError::Refused { why: ended.first_error_line() }),
        }
    }

    async fn read_received(
        &self,
        repository: &Repository,
        (base, head): (&CommitId, &CommitId),
        limits: &ReceiveLimits,
    ) -> Result<Received, GitError> {
        let refused = |error| match error {
            GitError::Failed { message, .. } => GitError::Refused { why: message },
            other => other,
        };
        let (ancestor, commits, change) = tokio::join!(
            self.is_ancestor(repository, base, head),
            self.log(repository, base, head, limits.commits + 1),
            self.changes(repository, base, head, limits.changed_files),
        );
        let (commits, (changed, diff_stat)) = (commits.map_err(refused)?, change.map_err(refused)?);
        if commits.len() > limits.commits {
            return Err(GitError::OverLimit {
                what: "the number of commits",
                limit: limits.commits as u64,
            });
        }
        if let Some(change) = changed.iter().find(|change| !change.path.is_safe()) {
            return Err(GitError::Refused { why: format!("bad path `{}`", change.path) });
        }
        Ok(Received {
            head: head.clone(),
            base_is_ancestor: ancestor.map_err(refused)?,
            commits,
            diff_stat,
            changed,
        })
    }
}

/// A bare repository that a pack is unpacked in; gone when dropped, and swept when the process died.
pub(crate) struct Quarantine {
    dir: tempfile::TempDir,
    _held: Option<Lock>,
}

impl Quarantine {
    pub(crate) async fn make(git: &Git, store: &ResultStore) -> Result<Self, GitError> {
        let (parent, objects) = (git.quarantine_dir(), store.repository.objects_dir());
        let format = store.repository.object_format();
        let results = store.repository.git_dir().to_owned();
        blocking("make the quarantine", move || {
            let dir = tempfile::Builder::new()
                .prefix("pack-")
                .tempdir_in(&parent)
                .map_err(GitError::io("make a directory in", &parent))?;
            let held = Lock::try_now(&dir.path().join(HELD), Hold::Alone)?;
            make_bare(dir.path(), format, &[objects])?;
            copy_shallow(&results, dir.path())?;
            Ok(Self { dir, _held: held })
        })
        .await
    }

    pub(crate) fn repository(&self, store: &ResultStore) -> Repository {
        Repository::at(self.dir.path().to_owned(), store.repository.object_format())
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.dir.path().join("objects/pack")
    }
}

pub(crate) fn move_packs(from: &Path, to: &Path) -> Result<(), GitError> {
    let listing = std::fs::read_dir(from).map_err(GitError::io("read the directory", from))?;
    let mut names: Vec<_> = listing
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with("pack-"))
        .collect();
    // git takes a pack for whole once its `.idx` is there.
    names.sort_by_key(|name| name.to_string_lossy().ends_with(".idx"));
    for name in names {
        let source = from.join(&name);
        std::fs::rename(&source, to.join(&name)).map_err(GitError::io("keep", &source))?;
    }
    Ok(())
}
