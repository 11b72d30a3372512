//! Takes a base that another machine sends: into quarantine, checked, then into a store of its own
//! beside the mirror, which only tasks that begin with it read.

use std::path::Path;
use std::time::Duration;

use quire_domain::ids::CommitId;
use tokio::io::AsyncRead;

use crate::capture_store::HalfCapture;
use crate::config::{Git, blocking};
use crate::error::GitError;
use crate::mirror::{Mirror, copy_shallow, prepare_bare};
use crate::receive::{ReceiveLimits, move_packs};
use crate::repository::{ObjectFormat, Repository, make_bare};

/// How much may be pushed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushLimits {
    /// Bytes of the pack.
    pub pack_bytes: u64,
    /// Objects in it.
    pub objects: u32,
    /// Processor time of each step that reads it, in seconds.
    pub cpu_seconds: u64,
    /// Wall-clock time of each step: the first takes as long as the network does.
    pub timeout: Duration,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            pack_bytes: 2 << 30,
            objects: 5_000_000,
            cpu_seconds: 600,
            timeout: Duration::from_mins(30),
        }
    }
}

impl PushLimits {
    fn of_receiving(&self) -> ReceiveLimits {
        ReceiveLimits {
            pack_bytes: self.pack_bytes,
            objects: self.objects,
            cpu_seconds: self.cpu_seconds,
            timeout: self.timeout,
            ..ReceiveLimits::default()
        }
    }
}

impl Git {
    /// The mirror of a repository that has no other home than this machine: `name` is its own for
    /// ever. Empty at first.
    pub async fn homeless_mirror(&self, name: &str, sha256: bool) -> Result<Mirror, GitError> {
        let format = if sha256 { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        // No address has white space, so that none leads here.
        let mirror = self.mirror_of(Path::new(&format!("pushed by people {name}")), format);
        if mirror.repository.git_dir().join("HEAD").exists() {
            // It says itself how it names its objects.
            return self.mirror_by_key(&mirror.key).await;
        }
        let _lock = self.lock_mirror(&mirror).await?;
        let dir = mirror.repository.git_dir().to_owned();
        if !dir.join("HEAD").exists() {
            blocking("make the mirror", move || prepare_bare(&dir, format)).await?;
        }
        Ok(mirror)
    }

    /// Whether a task may begin with `commit`: it is in the mirror, or was pushed beside it.
    pub async fn has_base(&self, mirror: &Mirror, commit: &CommitId) -> Result<bool, GitError> {
        if self.open_capture(mirror, commit).await?.is_some() {
            return Ok(true);
        }
        Ok(!self.has_commits(&mirror.repository, std::slice::from_ref(commit)).await?.is_empty())
    }

    /// Reads a pack, checks it, and keeps it as what a task may begin with: `commit` and all that
    /// it reaches, where the mirror does not have it. No other task reads it. `had` are commits of
    /// the mirror that the sender knows of.
    ///
    /// # Errors
    ///
    /// [`GitError::Refused`] and [`GitError::OverLimit`] for what was sent; then nothing is kept.
    pub async fn receive_base<R>(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        had: &[CommitId],
        mut pack: R,
        limits: &PushLimits,
    ) -> Result<(), GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        if ObjectFormat::of(commit.as_str()) != mirror.repository.object_format() {
            return Err(GitError::Refused {
                why: "its objects are named in another way than those of the repository".to_owned(),
            });
        }
        let had = self.has_commits(&mirror.repository, had).await?;
        let (dir, repository) = self.push_quarantine(mirror).await?;
        let limits = limits.of_receiving();
        self.index_pack(&repository, &mut pack, &limits).await?;
        self.check_reached(&repository, commit, &had, &limits).await?;
        let (captures, place, named) = (self.captures_dir(), mirror.clone(), commit.clone());
        blocking("keep what was pushed", move || {
            let half = HalfCapture::make(&captures, &place)?;
            move_packs(&dir.path().join("objects/pack"), &half.objects_dir().join("pack"))?;
            half.finish(&captures, &place, &named).map(drop)
        })
        .await
    }

    /// Takes history into a mirror that has no other home: what all who may read it see.
    ///
    /// # Errors
    ///
    /// As [`Git::receive_base`].
    pub async fn receive_history<R>(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        had: &[CommitId],
        mut pack: R,
        limits: &PushLimits,
    ) -> Result<(), GitError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let had = self.has_commits(&mirror.repository, had).await?;
        let (dir, repository) = self.push_quarantine(mirror).await?;
        let limits = limits.of_receiving();
        self.index_pack(&repository, &mut pack, &limits).await?;
        self.check_reached(&repository, commit, &had, &limits).await?;
        let (mirror, commit) = (mirror.clone(), commit.clone());
        blocking("keep what was pushed", move || {
            move_packs(&dir.path().join("objects/pack"), &mirror.objects_dir().join("pack"))?;
            mirror.remember(&commit)
        })
        .await
    }

    async fn push_quarantine(
        &self,
        mirror: &Mirror,
    ) -> Result<(tempfile::TempDir, Repository), GitError> {
        let (parent, place) = (self.quarantine_dir(), mirror.clone());
        blocking("make the quarantine", move || {
            let dir = tempfile::Builder::new()
                .prefix("push-")
                .tempdir_in(&parent)
                .map_err(GitError::io("make a directory in", &parent))?;
            let format = place.repository.object_format();
            make_bare(dir.path(), format, &[place.objects_dir()])?;
            copy_shallow(place.repository.git_dir(), dir.path())?;
            let repository = Repository::at(dir.path().to_owned(), format);
            Ok((dir, repository))
        })
        .await
    }

    /// Whether all that `commit` reaches is there, but for what `had` reach.
    pub(crate) async fn check_reached(
        &self,
        repository: &Repository,
        commit: &CommitId,
        had: &[CommitId],
        limits: &ReceiveLimits,
    ) -> Result<(), GitError> {
        let mut revisions = format!("{commit}^{{commit}}\n");
        for commit in had {
            revisions.push('^');
            revisions.push_str(commit.as_str());
            revisions.push('\n');
        }
        let ended = self
            .ours("check what was sent", repository.git_dir())
            .args(["rev-list", "--objects", "--quiet", "--stdin"])
            .input(revisions)
            .cpu_seconds(limits.cpu_seconds)
            .timeout(limits.timeout)
            .output_limit(1 << 20)
            .end()
            .await?;
        match ended.code {
            Some(0) => Ok(()),
            Some(_) => Err(GitError::Refused { why: ended.first_error_line() }),
            None => Err(GitError::OverLimit {
                what: "the work to check what was sent, in seconds,",
                limit: limits.cpu_seconds,
            }),
        }
    }
}
