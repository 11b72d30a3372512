//! The server itself, and who asks.

use quire_domain::access::{Right, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerInfo {
    /// The version of Quire, e.g. `0.1.0`.
    pub version: String,
    /// The versions of this API that it speaks.
    pub api: Vec<String>,
    /// Whether it has one user, who is signed in by a link or its token alone.
    pub single_user: bool,
    /// How many bytes the body of a request may have.
    pub max_body_bytes: u64,
}

/// Whether the server can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// `true` with the status 200, `false` with 503.
    pub ready: bool,
    /// What is missing, in words.
    pub missing: Vec<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The user's id.
    pub user: Uuid,
    /// What they type to sign in.
    pub name: String,
    /// Whether they administer the whole installation.
    pub admin: bool,
    /// Their teams, and what they are in them.
    pub teams: Vec<Membership>,
    /// What the token they came with is limited to; absent if it is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Right>>,
    /// With a session: to be sent as `X-Quire-Csrf` with whatever changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
}

/// What somebody is in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Membership {
    /// The team's id.
    pub team: Uuid,
    /// Its name.
    pub name: String,
    /// `viewer`, `member` or `admin`.
    #[schema(value_type = String, example = "member")]
    pub role: Role,
}
