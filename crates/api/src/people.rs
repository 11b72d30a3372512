//! Users of an installation, teams, and who is what in them.

use quire_domain::access::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Their id.
    pub id: Uuid,
    /// Their name.
    #[schema(example = "ada")]
    pub name: String,
    /// Where mail reaches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether they administer the whole installation.
    pub admin: bool,
    /// Whether they can sign in with a password.
    pub password: bool,
    /// Whether the organisation's provider of sign-ins brought them.
    pub provider: bool,
    /// When they were added.
    pub created_at: u64,
    /// Since when they may not sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<u64>,
}

/// Everybody, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserList {
    /// The users.
    pub users: Vec<User>,
}

/// Somebody to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What they type to sign in: letters, digits, `.`, `_`, `-` and `@`.
    #[schema(example = "ada", max_length = 64)]
    pub name: String,
    /// Where mail reaches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// Whether they administer the whole installation.
    #[serde(default)]
    pub admin: bool,
    /// Their password; without one they sign in by a link or the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 10, max_length = 1024)]
    pub password: Option<String>,
}

/// What to change of somebody; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// Whether they may not come in. Ends their sessions and tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether they administer the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<bool>,
    /// Where mail reaches them; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 254)]
    pub email: Option<String>,
    /// A new password. Ends their sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 10, max_length = 1024)]
    pub password: Option<String>,
}

/// A page that signs somebody in once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInLink {
    /// Its path and fragment on this server. Shown this once; give it to nobody else.
    #[schema(example = "/sign-in#…")]
    pub path: String,
    /// Until when it holds.
    pub expires_at: u64,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Team {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schema(example = "shop")]
    pub name: String,
    /// When it was made.
    pub created_at: u64,
}

/// Teams, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TeamList {
    /// The teams.
    pub teams: Vec<Team>,
}

/// A team to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Its name: letters, digits, `.`, `_`, `-` and `@`.
    #[schema(example = "shop", max_length = 64)]
    pub name: String,
}

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Their id.
    pub user: Uuid,
    /// Their name.
    pub name: String,
    /// `viewer`, `member` or `admin`.
    #[schema(value_type = String, example = "member")]
    pub role: Role,
    /// Since when.
    pub added_at: u64,
}

/// Who is in a team, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberList {
    /// The members.
    pub members: Vec<Member>,
}

/// What somebody is to be in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRole {
    /// `viewer`, `member` or `admin`.
    #[schema(value_type = String, example = "member")]
    pub role: Role,
}
