//! Environments and the names of their secrets; repositories; models.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which team's things are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TeamQuery {
    /// The team, by name or id; the only one of yours if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
}

/// A version of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Its name, unique in its team.
    pub name: String,
    /// The team.
    pub team: Uuid,
    /// The repository whose default it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Counted from 1.
    pub version: u32,
    /// The recipe, in TOML.
    pub recipe: String,
    /// Who wrote this version.
    pub author: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// The environments of a team, or the versions of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentList {
    /// Them: by name, or newest first.
    pub environments: Vec<Environment>,
}

/// A version to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnvironment {
    /// The recipe, in TOML; at most 256 KiB.
    #[schema(max_length = 262_144, example = "setup = \"make deps\"\n")]
    pub recipe: String,
    /// The repository whose default it becomes; what it was before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub repository: Option<String>,
    /// The version that it was made from; 0 for a new environment. Another one since is refused.
    #[serde(default)]
    pub based_on: u32,
}

/// The version that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentWritten {
    /// Its number.
    pub version: u32,
    /// What a person should know about the recipe.
    pub warnings: Vec<String>,
}

/// The secrets of an environment. Values are told to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    /// Them, by name.
    pub secrets: Vec<SecretInfo>,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretInfo {
    /// The variable's name.
    pub name: String,
    /// Raised each time a value is set.
    pub version: u32,
    /// When it was set, in milliseconds since 1970.
    pub at: u64,
}

/// The value of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// The value, 8 bytes to 64 KiB: a shorter one could not be hidden in what commands print.
    #[schema(min_length = 8, max_length = 65_536)]
    pub value: String,
}

impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecret")
    }
}

/// The version of a secret that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretWritten {
    /// Its number.
    pub version: u32,
}

/// The models that a task may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Them, best first.
    pub models: Vec<Model>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// `provider/model`.
    pub name: String,
    /// Tokens that it can be told at once.
    pub window: u64,
    /// Whether it is played from a script.
    pub scripted: bool,
    /// Whether it is the one of tasks that name none.
    pub default: bool,
    /// What is missing before it can be asked, e.g. a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The branches of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BranchList {
    /// The one that a task starts from where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// All of them, by name; at most 1,000.
    pub branches: Vec<String>,
}
