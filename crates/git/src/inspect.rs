//! Looks at a person's checkout: what is checked out, and what of it is not committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quire_domain::ids::CommitId;

use crate::config::{Git, PersonSettings, blocking};
use crate::discover::{Found, discover};
use crate::error::GitError;
use crate::index::Index;
use crate::ownership::Ownership;
use crate::path::RepoPath;
use crate::status::{Status, parse_status};

/// A person's checkout as it was when it was looked at.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// The root of its working tree, canonical.
    pub top_level: PathBuf,
    /// Its git directory (of a linked working tree: its own one).
    pub git_dir: PathBuf,
    /// Where its objects and refs are; another than `git_dir` in a linked working tree.
    pub common_dir: PathBuf,
    /// The commit checked out.
    pub head: CommitId,
    /// The branch checked out; `None` if detached.
    pub branch: Option<String>,
    /// What is not committed.
    pub status: Status,
    /// Paths of its submodules.
    pub submodules: Vec<RepoPath>,
    /// Whether its attributes name Git LFS: the sandbox then sees pointers.
    pub uses_lfs: bool,
    /// Those of its settings that are asked for, the person's own ones included; the last value
    /// of each, names in lower case but for a subsection.
    pub settings: BTreeMap<String, String>,
    /// Whose it is: for settings that begin with `~`.
    pub(crate) person: PersonSettings,
    /// A copy of the index, refreshed; gone when the last clone is dropped.
    pub(crate) private_index: Arc<tempfile::TempPath>,
    /// Settings that disarm filters where the checkout belongs to someone else.
    pub(crate) disarm: Vec<(String, String)>,
}

impl Checkout {
    /// The person's name and address, where git knows them.
    pub fn author(&self) -> Option<(String, String)> {
        let get = |name| self.settings.get(name).filter(|v| !v.is_empty()).cloned();
        Some((get("user.name")?, get("user.email")?))
    }
}

const INDEX_LIMIT_BYTES: u64 = 2 << 30;

impl Git {
    /// Looks at the checkout that `path` lies in. Its index, refs and files are not touched: git
    /// works on a copy of the index, which [`Git::capture`] then goes on from.
    ///
    /// # Errors
    ///
    /// [`GitError::NotARepository`], [`GitError::Bare`], [`GitError::Foreign`],
    /// [`GitError::NoCommits`], [`GitError::Unmerged`].
    pub async fn inspect(&self, path: &Path) -> Result<Checkout, GitError> {
        let (path, quarantine) = (path.to_owned(), self.quarantine_dir());
        let sudo_uid = self.inner.config.person.sudo_uid;
        let (found, ownership) = blocking("look at the checkout", move || {
            let found = discover(&path)?;
            let ownership = Ownership::of(&found, sudo_uid)?;
            Ok((found, ownership))
        })
        .await?;
        self.check_ownership(&found, &ownership).await?;
        let git_dir = found.git_dir.clone();
        let copy = blocking("copy the index", move || copy_index(&git_dir, &quarantine));
        let private_index = copy.await?;
        let (settings, disarm, status) = if ownership == Ownership::Own {
            // Begun in this order: the state of the files takes longer.
            let (status, settings) =
                tokio::try_join!(self.status(&found, &private_index, &[]), self.settings(&found))?;
            (settings, Vec::new(), status)
        } else {
            let settings = self.read_settings(&found).await?.settings;
            let disarm = disarm(&settings);
            let status = self.status(&found, &private_index, &disarm).await?;
            (settings, disarm, status)
        };
        if !status.unmerged.is_empty() {
            return Err(GitError::Unmerged { path: found.top_level, paths: status.unmerged });
        }
        let Some(head) = &status.head else {
            return Err(GitError::NoCommits { path: found.top_level });
        };
        let head = CommitId::parse(head)
            .map_err(|e| GitError::malformed("the output of git status", e.to_string()))?;
        let (top, index) = (found.top_level.clone(), private_index.to_path_buf());
        let (submodules, uses_lfs) = blocking("look at the checkout", move || {
            Ok((submodules(&top, &index), mentions_lfs(&top.join(".gitattributes"))))
        })
        .await?;
        Ok(Checkout {
            top_level: found.top_level,
            git_dir: found.git_dir,
            common_dir: found.common_dir,
            head,
            branch: status.branch.clone(),
            status,
            submodules,
            uses_lfs,
            settings,
            person: self.inner.config.person.clone(),
            private_index: Arc::new(private_index),
            disarm,
        })
    }

    async fn status(
        &self,
        found: &Found,
        index: &Path,
        disarm: &[(String, String)],
    ) -> Result<Status, GitError> {
        let mut run = self
            .person("read the state of the checkout", &found.git_dir, &found.top_level)
            .env("GIT_INDEX_FILE", index)
            // The copy may be written: it then holds what was learnt of the files.
            .env("GIT_OPTIONAL_LOCKS", "1")
            .timeout(Duration::from_mins(5))
            .output_limit(256 << 20);
        for (name, value) in disarm {
            run = run.named_setting(name, value);
        }
        let output = run
            .args(["status", "--porcelain=v2", "--branch", "-z", "--no-renames"])
            .args(["--untracked-files=all", "--ignored=no", "--ignore-submodules=all"])
            .output()
            .await?;
        parse_status(&output)
    }
}

/// Settings that leave every configured filter without a program.
fn disarm(settings: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut disarmed = Vec::new();
    for name in settings.keys() {
        let Some((driver, _)) = name.strip_prefix("filter.").and_then(|n| n.rsplit_once('.'))
        else {
            continue;
        };
        for (key, value) in [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")]
        {
            disarmed.push((format!("filter.{driver}.{key}"), value.to_owned()));
        }
    }
    disarmed.sort();
    disarmed.dedup();
    disarmed
}

/// Copies the index with its time: by it git knows which files may have changed unseen.
fn copy_index(git_dir: &Path, into: &Path) -> Result<tempfile::TempPath, GitError> {
    copy_index_file(&git_dir.join("index"), into)
}

/// As [`copy_index`], of the index file `source`.
pub(crate) fn copy_index_file(source: &Path, into: &Path) -> Result<tempfile::TempPath, GitError> {
    let mut target = tempfile::Builder::new()
        .prefix("index-")
        .tempfile_in(into)
        .map_err(GitError::io("make a file in", into))?;
    let meta = match std::fs::metadata(source) {
        // A pipe would block, and a device has no end.
        Ok(meta) if !meta.is_file() => {
            return Err(GitError::malformed("the index", "it is no file"));
        }
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // As after `git init`, or `rm .git/index`: an absent file is an empty index.
            let target = target.into_temp_path();
            std::fs::remove_file(&target).map_err(GitError::io("remove", &target))?;
            return Ok(target);
        }
        Err(error) => return Err(GitError::io("read", source)(error)),
    };
    if meta.len() > INDEX_LIMIT_BYTES {
        return Err(GitError::OverLimit { what: "the index", limit: INDEX_LIMIT_BYTES });
    }
    // The bytes alone: in a checkout that is read-only the file is too, and the copy is written to.
    std::fs::File::open(source)
        .and_then(|mut source| std::io::copy(&mut source, target.as_file_mut()))
        .map_err(GitError::io("copy", source))?;
    let time = meta.modified().map_err(GitError::io("read the time of", source))?;
    target.as_file().set_modified(time).map_err(GitError::io("set the time of", target.path()))?;
    Ok(target.into_temp_path())
}

fn submodules(top_level: &Path, index: &Path) -> Vec<RepoPath> {
    if !top_level.join(".gitmodules").is_file() {
        return Vec::new();
    }
    let Ok(bytes) = std::fs::read(index) else { return Vec::new() };
    let Ok(index) = Index::parse(bytes) else { return Vec::new() };
    index.entries().iter().filter(|e| e.is_gitlink()).map(|e| e.path.clone()).collect()
}

fn mentions_lfs(attributes: &Path) -> bool {
    std::fs::metadata(attributes).is_ok_and(|m| m.is_file() && m.len() < 1 << 20)
        && std::fs::read(attributes)
            .is_ok_and(|text| text.windows(10).any(|window| window == b"filter=lfs"))
}
