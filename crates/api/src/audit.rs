//! The record of what people and tokens did.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which part of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what this person did, by name.
    #[param(max_length = 64)]
    pub actor: Option<String>,
    /// Only what is about this team, by name or id.
    pub team: Option<String>,
    /// Only actions that begin so, e.g. `task.` or `token.create`.
    #[param(max_length = 100)]
    pub action: Option<String>,
    /// Only what was done then or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Only what was done earlier.
    pub until: Option<u64>,
    /// Only rows before this number: `next` of the page before.
    pub before: Option<u64>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Rises with each.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who; absent for somebody who had not signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// The token they came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Uuid>,
    /// Whose it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<Uuid>,
    /// That team's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_name: Option<String>,
    /// What was done.
    #[schema(example = "task.submit")]
    pub action: String,
    /// To what.
    #[schema(example = "task 42")]
    pub subject: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// Where from.
    pub address: String,
}

/// A part of the record, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// To be sent as `before` for what was done earlier; absent if that is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
