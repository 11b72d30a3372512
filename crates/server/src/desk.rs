//! What the routes need of the worker's side. The composition root keeps it.

use async_trait::async_trait;
use quire_domain::access::Owner;
use quire_domain::budget::Budget;
use quire_domain::environment::{CheckSpec, Environment};
use quire_domain::ids::{AttemptId, TaskId};
use quire_domain::secret::Secret;
use quire_domain::task::{Image, Mode, ReviewTarget};
use quire_store::{Actor, Push, SecretScope, StoredRepository, Submission};

/// Takes tasks in, as `quire run` does, and answers what only a worker knows.
///
/// Nothing of it runs an attempt: what is taken in is offered (`attempts.offered`), and a worker
/// claims it.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Resolves repository, base and environment, and writes a task down. On disk when it returns.
    async fn submit(&self, new: Submitted) -> Result<Submission, DeskError>;

    /// Adds a turn to a task whose newest one has ended. On disk when it returns.
    async fn follow_up(&self, new: Followed) -> Result<Submission, DeskError>;

    /// Makes a task of its own that goes on from an attempt. On disk when it returns.
    async fn fork(&self, new: Forked) -> Result<Submission, DeskError>;

    /// The branches of a repository.
    async fn branches(&self, repository: &Place) -> Result<Branches, DeskError>;

    /// The models that may be named, best first.
    async fn models(&self) -> Result<Vec<ModelOffer>, DeskError>;

    /// Reads a recipe. `Refused` says what is wrong with it, with its line.
    async fn recipe(&self, name: &str, text: &str) -> Result<Recipe, DeskError>;

    /// Seals and keeps the value of a secret; gives its version. On disk when it returns.
    async fn set_secret(
        &self,
        by: Actor,
        scope: &SecretScope,
        name: &str,
        value: Secret<Vec<u8>>,
    ) -> Result<u32, DeskError>;
}

/// A task to take in.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Whose it will be.
    pub owner: Owner,
    /// Who asks, for the record of what was done: `Store::acting`.
    pub by: Actor,
    /// Where the repository is.
    pub repository: Place,
    /// A branch, tag or commit; the default branch if `None`.
    pub base: Option<String>,
    /// What they pushed as the base, in place of a branch.
    pub push: Option<Push>,
    /// The name of an environment of the team; the repository's own or default one if `None`.
    pub environment: Option<String>,
    /// What is asked for.
    pub wish: Wish,
    /// Checks declared with the request, beside those of the environment.
    pub checks: Vec<CheckSpec>,
    /// What a review is about.
    pub review: Option<ReviewTarget>,
    /// A second submit of the same owner with the same key gives the first one's task.
    pub idempotency_key: Option<String>,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is registered, or people push to it.
    Registered(StoredRepository),
    /// A path or an address that the one user of a server named.
    Named(String),
}

/// What a person asks for in one turn.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What to do; what the turn before had if `None`, `code` in a new task.
    pub mode: Option<Mode>,
    /// The words.
    pub prompt: String,
    /// Pictures that belong to them; the blobs are there.
    pub images: Vec<Image>,
    /// The model; the environment's, the turn before's or the installation's if `None`.
    pub model: Option<String>,
    /// How many attempts, 1 to 4.
    pub attempts: u8,
    /// What they may cost together; the environment's or installation's if `None`.
    pub budget: Option<Budget>,
    /// Whether declared checks are skipped.
    pub skip_checks: bool,
    /// Whether the model may ask and wait for an answer.
    pub questions: bool,
    /// A JSON schema that the answer has to fit, as text.
    pub output_schema: Option<String>,
}

/// A turn to add to a task.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Who asks for it.
    pub owner: Owner,
    /// Who asks, for the record of what was done.
    pub by: Actor,
    /// The task.
    pub task: TaskId,
    /// The attempt to go on from; the chosen one if `None`.
    pub continues: Option<AttemptId>,
    /// What is asked for.
    pub wish: Wish,
    /// As in [`Submitted::idempotency_key`].
    pub idempotency_key: Option<String>,
}

/// A task to make from an attempt of another one.
#[derive(Debug, Clone)]
pub struct Forked {
    /// Whose it will be.
    pub owner: Owner,
    /// Who asks, for the record of what was done.
    pub by: Actor,
    /// The attempt that it goes on from; ended, of any turn.
    pub from: AttemptId,
    /// What is asked for.
    pub wish: Wish,
    /// As in [`Submitted::idempotency_key`].
    pub idempotency_key: Option<String>,
}

/// The branches of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Branches {
    /// The one that a task starts from where none is named.
    pub default: Option<String>,
    /// All of them, by name; at most 1,000.
    pub names: Vec<String>,
}

/// A model that may be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOffer {
    /// `provider/model`.
    pub name: String,
    /// Tokens that it can be told at once.
    pub window: u64,
    /// Whether it is played from a script.
    pub scripted: bool,
    /// Whether it is the one of tasks that name none.
    pub default: bool,
    /// What is missing before it can be asked, e.g. a key; `None` if nothing is.
    pub missing: Option<String>,
}

/// A recipe that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What it says.
    pub environment: Environment,
    /// What a person should know about it.
    pub warnings: Vec<String>,
}

/// Why the desk did not take something in. The words are for the person.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// What was asked for is wrong: no such ref, no such model, a recipe that cannot be read.
    #[error("{detail}")]
    Refused {
        /// What is wrong.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// There is no such repository, task, attempt or environment.
    #[error("{detail}")]
    NotFound {
        /// What is not there.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// It is not possible in the state that the task is in.
    #[error("{detail}")]
    NotPossible {
        /// Why.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// A quota of the person or the team is used up.
    #[error("{detail}")]
    Quota {
        /// Which.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// A policy of the installation refuses it.
    #[error("{detail}")]
    Policy {
        /// Its words.
        detail: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] quire_store::StoreError),
    /// Something outside does not answer: a repository's host.
    #[error("{detail}")]
    Unavailable {
        /// What.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// Something of ours is broken.
    #[error("the desk failed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}
