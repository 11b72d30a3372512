//! Streams of events.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::attempt::Event;

/// From where, and until when, a stream of a task goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskStreamQuery {
    /// `attempt:seq` pairs, separated by commas, as an event's id has them: each attempt goes on
    /// after that event. Where `Last-Event-ID` names it too, the later one counts. Attempts that
    /// are not named begin at their first event: those of the newest turn, and of each turn since
    /// the oldest one that is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 2000)]
    pub after: Option<String>,
    /// Whether of attempts that are not named only what comes from now on is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<bool>,
    /// Whether the stream ends when all attempts of the newest turn have; it stays open otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<bool>,
    /// Whether pieces of replies and outputs are sent as they come. They are not stored, have no
    /// id, and are left out for a viewer who is slow, or where an output comes faster than anybody
    /// reads. They are if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
}

/// From where a stream of all tasks goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangeStreamQuery {
    /// After this change: `changed` of a list, or of an event before. Of this and `Last-Event-ID`
    /// the later one counts; from now on if neither is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Only tasks of this team, by name or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(max_length = 100)]
    pub team: Option<String>,
}

/// Sent as `event`: something happened and was written down.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskEvent {
    /// In which attempt.
    pub attempt: Uuid,
    /// What.
    pub event: Event,
}

/// Sent as `live`: a piece of what is not yet written down, or never will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LivePiece {
    /// Of which attempt.
    pub attempt: Uuid,
    /// `live` says what it is: `text` and `reasoning` (with `text`), `output` (with `chunk`,
    /// `call_id` and `text`), `preparing` (with `text`), or `retry` (with `why` and `after_ms`: the
    /// model is asked again, and what was shown of its reply is void).
    #[schema(value_type = Object)]
    pub piece: Value,
}

/// Sent as `end`, last, where the end was asked for: the newest turn has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamEnd {
    /// How far it went: what to come back with for what may follow.
    pub after: String,
}

/// Sent as `resync`, last, to a viewer who was too slow: what waited for it was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resync {
    /// What to come back with as `after`.
    pub after: String,
}
