//! Repositories that a team may name, and what people push to them as the base of a task.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A repository that a team may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    /// What people type.
    #[schema(example = "shop")]
    pub name: String,
    /// Its address without credentials. Absent where it has none, and where it is a path on the
    /// server that only administrators of the team are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://git.example/shop.git")]
    pub place: Option<String>,
    /// Whether people push to it, as it has no other home.
    pub pushed: bool,
    /// Whose team's it is.
    pub team: Uuid,
    /// When it was registered, in milliseconds since 1970.
    pub created_at: u64,
}

/// Repositories, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryList {
    /// They.
    pub repositories: Vec<Repository>,
}

/// A repository to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// What people will type: words of letters, digits, `.`, `_` and `-`, with `/` between them.
    #[schema(example = "shop", max_length = 100)]
    pub name: String,
    /// Its address, or a path on the server. Without one people push to it, which every member may
    /// ask for; with one an administrator of the team has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://git.example/shop.git", max_length = 4096)]
    pub place: Option<String>,
    /// The team, by name or id; the only one of yours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub team: Option<String>,
}

/// Which team's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RepositoryQuery {
    /// By name or id; the only one of yours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
}

/// Commits that somebody has and asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitsAsked {
    /// Their ids; at most 512.
    #[schema(max_items = 512)]
    pub commits: Vec<String>,
}

/// Which of them are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitsKnown {
    /// Those that need not be sent.
    pub commits: Vec<String>,
}

/// What is pushed. The body is a pack of git, and may lack what `had` reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PushQuery {
    /// The commit that the task will start on.
    #[param(min_length = 40, max_length = 64)]
    pub base: String,
    /// The commit that is checked out; another than `base` where that is uncommitted work.
    #[param(min_length = 40, max_length = 64)]
    pub head: String,
    /// The branch that is checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 255)]
    pub branch: Option<String>,
    /// Files of uncommitted work in `base`.
    #[serde(default)]
    pub uncommitted: u32,
    /// Commits that are known here, separated by commas; at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 1100)]
    pub had: Option<String>,
    /// By name or id; the only one of yours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
}

/// Which commits of an attempt are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PackQuery {
    /// Only what its own turn added, not the whole task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<bool>,
    /// Commits that are there already, separated by commas; at most 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 8400)]
    pub have: Option<String>,
}

/// What was pushed: a task may start with it, yours alone. It is kept while a task that began with
/// it is there, and for an hour otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// What to give as `push` of a new task.
    pub push: Uuid,
    /// The commit that the task will start on.
    pub base: String,
}
