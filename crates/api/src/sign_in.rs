//! Signing in, and where one is signed in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A name with its password, or a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada", max_length = 64)]
    pub name: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024)]
    pub password: Option<String>,
    /// What stands behind `#` in a sign-in link; it is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub link: Option<String>,
}

/// How one can sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInMeans {
    /// What the organisation's provider of sign-ins is called, if there is one: send the browser to
    /// `/api/v1/sign-in/oidc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// Who is signed in now. The session itself is in the cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// The user's id.
    pub user: Uuid,
    /// Their name.
    pub name: String,
    /// To be sent as `X-Quire-Csrf` with whatever changes something.
    pub csrf: String,
    /// When one has to sign in again, in milliseconds since 1970.
    pub expires_at: u64,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// What it is called in this list.
    #[schema(example = "8f14e45fceea167a")]
    pub session: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the browser calls itself.
    pub agent: String,
    /// When it signed in.
    pub created_at: u64,
    /// When it was last used, give or take five minutes.
    pub seen_at: u64,
    /// When it has to sign in again.
    pub expires_at: u64,
}

/// Where somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// Last used first.
    pub sessions: Vec<SessionInfo>,
}

/// A new password of one's own. All sessions end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The new one.
    #[schema(min_length = 10, max_length = 1024)]
    pub new: String,
}
