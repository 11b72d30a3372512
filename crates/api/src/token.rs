//! Bearer tokens.

use quire_domain::access::Right;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "laptop", min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may be used for; everything that its owner may if absent. A service's token has to
    /// name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["read_tasks", "write_tasks"]))]
    pub scopes: Option<Vec<Right>>,
    /// The team it is for, by name or id; all of its owner's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// After how many days it ends, 1 to 3,650; 90 if absent, and never for 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3650)]
    pub days: Option<u32>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenInfo {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// Whether it is a service's.
    pub service: bool,
    /// Whose it is; of a service, who made it.
    pub owner: Uuid,
    /// What it may be used for; absent if it is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Right>>,
    /// The team it is for; absent if for all of its owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Uuid>,
    /// When it was made.
    pub created_at: u64,
    /// When it ends; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// When it was last used, give or take five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<u64>,
    /// Since when it is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<u64>,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// The token itself. It is shown this once.
    #[schema(example = "quire_…")]
    pub token: String,
    /// What is kept of it.
    pub info: TokenInfo,
}

/// Tokens, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens.
    pub tokens: Vec<TokenInfo>,
}
