//! Streams: what happens in a task, and which tasks change, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, request};
use axum::response::Response;
use quire_api::{ChangeStreamQuery, Problems, TaskStreamQuery};
use quire_domain::access::Right;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, ReadTasks};
use crate::events::{self, Position, Still, TaskViewer, WorkspaceViewer, reply};
use crate::extract::{Path, Query};
use crate::find;
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(task)).routes(routes!(workspace))
}

/// What happens in a task, as server-sent events.
///
/// An `event` (`TaskEvent`) is stored, and has an id; a `live` (`LivePiece`) is a piece of a reply
/// or an output, is not stored and has none; a `task` (`TaskSummary`) says where the task stands,
/// and comes after all that led there. Come back with the last id, as `Last-Event-ID` or as
/// `after`, and exactly the rest follows; without one it begins with the newest turn. Attempts and
/// turns that begin later are part of it. After the end of the newest turn it stays open for what
/// may follow, with a comment every 15 seconds; with `end=true` an `end` (`StreamEnd`) is the last
/// instead. Whoever reads too slowly is sent a `resync` (`Resync`), also the last. Whoever may not
/// see the task any more loses the stream within 15 seconds.
#[utoipa::path(
    get, path = "/api/v1/tasks/{task}/events", tag = "tasks",
    params(
        ("task" = u64, Path, minimum = 1, example = 1, description = "Its number."),
        TaskStreamQuery,
        ("Last-Event-ID" = Option<String>, Header, max_length = 2000,
            description = "The id of the last event that was seen."),
    ),
    responses(
        (status = 200, description = "The stream.", body = String,
            content_type = "text/event-stream"),
        Problems,
    ),
)]
async fn task(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(number): Path<u64>,
    Query(query): Query<TaskStreamQuery>,
    headers: HeaderMap,
    Came(still): Came,
) -> Result<Response> {
    let task = find::task(&state, &who, Right::ReadTasks, number).await?;
    let room = state.events.rooms.take(who.user)?;
    let read = |what: &str, text: &str| {
        Position::parse(text).ok_or_else(|| {
            Refusal::invalid(
                format!("`{what}` is no list of `attempt:seq`"),
                "give the id of an event of this stream, or none to begin at the start",
            )
        })
    };
    let mut position = Position::default();
    if let Some(text) = last_event_id(&headers) {
        position.merge(&read("Last-Event-ID", text)?);
    }
    if let Some(text) = &query.after {
        position.merge(&read("after", text)?);
    }
    let wanted = events::From {
        position,
        now: query.now.unwrap_or(false),
        end: query.end.unwrap_or(false),
        live: query.live.unwrap_or(true),
    };
    let viewer = TaskViewer::open(state.clone(), still, task, wanted).await?;
    Ok(reply(&state, room, viewer))
}

/// Which tasks change, as server-sent events.
///
/// Each `task` (`TaskSummary`) is a row of the list as it is now, with its number `changed` as the
/// id. What changes twice within a moment is told once. Come back with the last id, as
/// `Last-Event-ID` or as `after`, and nothing is missing. A comment every 15 seconds says that the
/// server is there. Whoever reads too slowly is sent a `resync` (`Resync`), the last event.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "tasks",
    params(
        ChangeStreamQuery,
        ("Last-Event-ID" = Option<String>, Header, max_length = 20,
            description = "The id of the last event that was seen."),
    ),
    responses(
        (status = 200, description = "The stream.", body = String,
            content_type = "text/event-stream"),
        Problems,
    ),
)]
async fn workspace(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Query(query): Query<ChangeStreamQuery>,
    headers: HeaderMap,
    Came(still): Came,
) -> Result<Response> {
    let only = match query.team.as_deref() {
        Some(team) => Some(who.team_for(Right::ReadTasks, Some(team))?),
        None => None,
    };
    let last = match last_event_id(&headers) {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            Refusal::invalid("`Last-Event-ID` is no number", "give the id of an event before")
        })?),
    };
    let room = state.events.rooms.take(who.user)?;
    let after = last.max(query.after);
    let viewer = WorkspaceViewer::open(state.clone(), still, &who, only, after).await?;
    Ok(reply(&state, room, viewer))
}

/// What was seen last, if that is told. What is not plain text is no id of ours.
fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("last-event-id")?;
    Some(value.to_str().unwrap_or("?")).filter(|text| !text.is_empty())
}

/// What a viewer came with.
struct Came(Still);

impl FromRequestParts<Arc<State>> for Came {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        state: &Arc<State>,
    ) -> std::result::Result<Self, Infallible> {
        Ok(Self(Still::of(parts, state.settings.look_again)))
    }
}
