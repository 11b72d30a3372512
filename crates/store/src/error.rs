//! What can go wrong with the store, and what a person can do about it.

use std::path::PathBuf;

use quire_domain::attempt::machine::NotPossible;
use quire_domain::ids::{AttemptId, AttemptRef, TaskNumber};
use quire_domain::time::Timestamp;

use crate::seal::SealError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker holds the attempt now, or it has ended: stop at once, write nothing more.
    #[error("attempt {attempt} was taken over by another worker")]
    Fenced {
        /// The attempt.
        attempt: AttemptId,
    },
    /// There is no such task, turn or attempt.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `task`, `turn`, `attempt`, `environment` or `secret`.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The newest turn of the task has not ended, so none can follow it.
    #[error("task {task} is still at work")]
    TurnOpen {
        /// The task.
        task: TaskNumber,
    },
    /// The turn has several attempts and none was chosen.
    #[error("task {task} has {attempts} attempts, and none was chosen")]
    NotChosen {
        /// The task.
        task: TaskNumber,
        /// How many.
        attempts: u8,
    },
    /// Where it stands this cannot be done; the words say what can be.
    #[error("{}", refused.told(&name.to_string()))]
    NotPossible {
        /// The task or attempt that was named.
        name: AttemptRef,
        /// What stands against it.
        refused: NotPossible,
    },
    /// The attempt that was to be chosen or continued is not one of the task's.
    #[error("attempt {attempt} does not belong there")]
    WrongAttempt {
        /// The attempt.
        attempt: AttemptId,
    },
    /// There is one of that name.
    #[error("there is a {what} `{name}`")]
    Taken {
        /// `user`, `team` or `identity`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It has to stay as it is, or nobody could manage the installation.
    #[error("the {what} `{name}` stays as it is")]
    Kept {
        /// `user`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The idempotency key was used before, for another request.
    #[error("the idempotency key `{key}` was used before, for another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// An input was applied before, or a later one was.
    #[error("input {number} was applied before")]
    AlreadyApplied {
        /// Its number.
        number: u64,
    },
    /// A value is outside its bounds.
    #[error("{what} is too large or empty: {found}, allowed are 1 to {allowed}")]
    OutOfBounds {
        /// Which value, with its unit.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The largest allowed size.
        allowed: usize,
    },
    /// An environment has another newest version than the one that was edited.
    #[error("the environment `{name}` is at version {newest}, the edit was made from {based_on}")]
    Edited {
        /// The environment.
        name: String,
        /// Its newest version; 0 if there is none.
        newest: u32,
        /// The version that was edited; 0 for a new environment.
        based_on: u32,
    },
    /// A repository has another environment as its default.
    #[error("the repository `{repository}` has the environment `{other}` as its default")]
    RepositoryTaken {
        /// The repository.
        repository: String,
        /// The other environment.
        other: String,
    },
    /// A secret cannot be sealed or opened.
    #[error("a secret cannot be opened or sealed")]
    Sealed(#[from] SealError),
    /// Another process kept the database locked for longer than we wait.
    #[error("the database is locked by another process")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// A later version of Quire wrote the database.
    #[error("the database has version {found}, this program knows {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// What was read is not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The file cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address of a store is none that we know.
    #[error("the address of the store is not of the form `postgres://person@host/database`")]
    BadUrl,
    /// The database server could not be connected to, or refused.
    #[error("cannot open the database at {server}")]
    Connect {
        /// Where: host, port and database.
        server: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection to the database server was lost, and did not come back. What was to be
    /// committed just then may be there or not.
    #[error("the database server cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Reading or writing failed.
    #[error("cannot reach the database")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// What the person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Fenced { .. } => "the other worker goes on with it; nothing has to be done",
            Self::NotFound { what: "environment", .. } | Self::Edited { newest: 0, .. } => {
                "`quire env list` shows what there is"
            }
            Self::NotFound { what: "secret", .. } => "`quire env secret list` shows what there is",
            Self::NotFound { what: "user" | "member", .. } => {
                "`quire user list` shows who there is"
            }
            Self::NotFound { what: "team", .. } => "`quire team list` shows what there is",
            Self::NotFound { what: "subscription", .. } => {
                "`quire notice list` shows what there is"
            }
            Self::NotFound { what: "delivery", .. } => "`quire notice log` shows what there is",
            Self::NotFound { what: "token", .. } => {
                "the server shows your tokens at `GET /api/v1/me/tokens`"
            }
            Self::NotFound { .. } => "`quire task list` shows what there is",
            Self::TurnOpen { .. } => "wait for it, or end it with `quire task cancel`",
            Self::NotChosen { .. } => "name one, as in `42.3`",
            Self::NotPossible { .. } => "`quire task show` says where it stands",
            Self::WrongAttempt { .. } => "`quire task show` lists the attempts of a task",
            Self::Taken { .. } => "take another name",
            Self::Kept { .. } => "who runs the server administers it; change somebody else",
            Self::KeyReused { .. } => "send another key with another request",
            Self::AlreadyApplied { .. } => "nothing has to be done",
            Self::OutOfBounds { .. } => "make it shorter",
            Self::Edited { .. } => "look at the newest version, then edit again",
            Self::RepositoryTaken { .. } => "delete that one, or leave `repository` out",
            Self::Sealed(_) => {
                "bring back the `keys/secrets.key` it was sealed with, or set the secret anew"
            }
            Self::Busy => "see which process holds `quire.db` (`fuser quire.db`), then try again",
            Self::DiskFull => "free some disk space, then try again",
            Self::Newer { .. } => "use the newer version of quire, or another --data-dir",
            Self::Damaged(_) => {
                "keep a copy of the file, then restore a backup, or use another --data-dir"
            }
            Self::Open { .. } => "check that the data directory exists and belongs to you",
            Self::BadUrl => "see `docs/cli.md` on `store.url`",
            Self::Connect { .. } => {
                "check that the server runs, and that `store.url` names a database that is there \
                 and a person who may use it"
            }
            Self::Unreachable(_) => "see whether the database server runs, then try again",
            Self::Io(_) => "check the disk (`dmesg`), then try again",
        }
    }
}

/// Why an attempt could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A worker holds it.
    #[error("worker `{worker}` is at work on it")]
    Held {
        /// Who.
        worker: String,
        /// Until when, unless renewed.
        until: Timestamp,
    },
    /// It ended.
    #[error("it has ended")]
    Done,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
