//! Streams of events.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// From where, and until when, a stream of a task goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskStreamQuery {
    /// `attempt:seq` pairs, separated by commas: each attempt goes on after that event. Wins over
    /// `Last-Event-ID`, which names one pair; attempts of the newest turn that are not named begin
    /// at their first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 400)]
    pub after: Option<String>,
    /// Whether only what comes from now on is wanted, where nothing is named to go on after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<bool>,
    /// Whether the stream ends when all attempts of the newest turn have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<bool>,
    /// Whether pieces of replies and outputs are sent as they come. They are not stored, have no
    /// id, and are left out for a viewer who is slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
}

/// From where a stream of all tasks goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeStreamQuery {
    /// After this change: `changed` of a list, or of an event before. Wins over `Last-Event-ID`;
    /// from now on if neither is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only tasks of this team, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
}

/// Sent as `resync`, last, to a viewer who was too slow: what waited for it was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// What to come back with as `after`.
    pub after: String,
}
