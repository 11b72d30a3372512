//! Why something with a repository could not be done.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::path::RepoPath;

/// Why something with a repository could not be done.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program itself could not be started.
    #[error("cannot start git (`{}`): install git, or name it in the configuration", program.display())]
    NoGit {
        /// What was tried.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program is older than what it is needed for.
    #[error(
        "cannot {doing}: this git is too old; install git {} or later",
        crate::version::MINIMUM_GIT
    )]
    TooOld {
        /// What was being done.
        doing: &'static str,
    },
    /// There is no repository at or above the path.
    #[error("`{}` is not in a git repository; run `git init` and commit, or name one with --repo", path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The repository has no working tree.
    #[error("`{}` is a bare repository: it has no working tree; clone it, or name a URL", path.display())]
    Bare {
        /// The repository.
        path: PathBuf,
    },
    /// A part of the checkout belongs to somebody else, and the person never said to trust it.
    #[error("`{}` belongs to {}, not to you: what its settings and files name would be read as yours. {}", path.display(), owner_words(*owner), trust_words(top_level))]
    Foreign {
        /// The part.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// The root of the working tree.
        top_level: PathBuf,
    },
    /// Nothing was ever committed.
    #[error("the repository at `{}` has no commit yet; make a first commit", path.display())]
    NoCommits {
        /// The working tree or the URL.
        path: PathBuf,
    },
    /// A merge was left half done.
    #[error("{} in `{}`; resolve them or abort the merge first", unmerged_words(paths), path.display())]
    Unmerged {
        /// The working tree.
        path: PathBuf,
        /// The files in conflict.
        paths: Vec<RepoPath>,
    },
    /// A branch, tag or commit that does not exist.
    #[error("there is no commit `{text}`; see `git branch -a` and `git log` for what there is")]
    NoSuchRef {
        /// What was asked for.
        text: String,
    },
    /// A text that cannot be a branch, tag or commit.
    #[error("`{text}` cannot be a branch, tag or commit")]
    BadRef {
        /// What was asked for.
        text: String,
    },
    /// A repository address that is not accepted.
    #[error("`{url}` is not an address to clone from: {why}")]
    BadUrl {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A pack, or what it holds, was refused.
    #[error("the result was refused: {why}")]
    Refused {
        /// What is wrong with it, in git's words or ours.
        why: String,
    },
    /// Something untrusted was larger than is allowed.
    #[error("{what} is over the limit of {limit}")]
    OverLimit {
        /// What.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// git ended with an error.
    #[error("cannot {doing}: {message}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The first line git complained with, or how it ended.
        message: String,
    },
    /// git did not end in time.
    #[error("cannot {doing}: git did not finish within {after:?}")]
    Timeout {
        /// What was being done.
        doing: &'static str,
        /// How long it was given.
        after: Duration,
    },
    /// Another process held a lock for too long.
    #[error("cannot {doing}: another process has held `{}` for {after:?}", lock.display())]
    Locked {
        /// What was being done.
        doing: &'static str,
        /// The lock.
        lock: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// The disk is full.
    #[error("cannot {doing}: the disk is full")]
    DiskFull {
        /// What was being done.
        doing: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of git's, or an answer of git, was not as it should be.
    #[error("cannot read {what}: {why}")]
    Malformed {
        /// What.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl GitError {
    /// For `map_err` on file operations; a full disk becomes [`GitError::DiskFull`].
    pub(crate) fn io(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull
                || source.kind() == io::ErrorKind::QuotaExceeded
            {
                Self::DiskFull { doing }
            } else {
                Self::Io { doing, path, source }
            }
        }
    }

    /// For what is not as it should be.
    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { what, why: why.into() }
    }
}

fn unmerged_words(paths: &[RepoPath]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = paths.iter().take(SHOWN).map(|p| format!("`{p}`")).collect();
    let more = if paths.len() > SHOWN {
        format!(" and {} more", paths.len() - SHOWN)
    } else {
        String::new()
    };
    let verb = if paths.len() == 1 { "has" } else { "have" };
    format!("{}{more} {verb} merge conflicts", names.join(", "))
}

/// A user by number, and by name where the machine's own list of users has one.
fn owner_words(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    match name {
        Some(name) => format!("`{name}` (user {uid})"),
        None => format!("user {uid}"),
    }
}

/// How to have it opened all the same.
fn trust_words(top_level: &Path) -> String {
    let quoted = top_level.display().to_string().replace('\'', r"'\''");
    format!("If you trust it, run: git config --global --add safe.directory '{quoted}'")
}
