//! What people say to a task.

use axum::Json;
use axum::http::StatusCode;
use quire_api::{InputTaken, NewInput, Problems, Wanted};
use quire_domain::access::Right;
use quire_store::InputKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Routes;
use crate::access::{May, WriteTasks};
use crate::extract::{Body, Path};
use crate::refusal::Result;
use crate::state::Here;
use crate::{find, wish};

const MOST_TEXT_BYTES: usize = 1 << 20;

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(say))
}

/// Says something to the newest turn of a task, or wants something of it. On disk when it is
/// answered: it is applied once, and in order. What is possible hangs on where the attempts stand.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task}/inputs", tag = "tasks", request_body = NewInput,
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses((status = 202, description = "It was taken down.", body = InputTaken), Problems),
)]
async fn say(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    Body(new): Body<NewInput>,
) -> Result<(StatusCode, Json<InputTaken>)> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    let attempt = match new.attempt {
        Some(ordinal) => Some(find::of_newest(&task, ordinal)?.id),
        None => None,
    };
    let input = quire_store::NewInput {
        task: task.task.id,
        attempt,
        kind: kind(new.wanted)?,
        now: state.clock.now(),
    };
    let input = who.store(&state).put_input(input).await?;
    Ok((StatusCode::ACCEPTED, Json(InputTaken { input })))
}

fn kind(wanted: Wanted) -> Result<InputKind> {
    Ok(match wanted {
        Wanted::Steer { text } => InputKind::Steer { text: said(text)? },
        Wanted::Message { text } => InputKind::Message { text: said(text)? },
        Wanted::Answer { text } => InputKind::Answer { text: said(text)? },
        Wanted::Approve { text } => InputKind::Approve { text: text.map(said).transpose()? },
        Wanted::Reject { text } => InputKind::Reject { text: said(text)? },
        Wanted::Pause { now } => InputKind::Pause { now },
        Wanted::Resume => InputKind::Resume,
        Wanted::Cancel => InputKind::Cancel,
        Wanted::RaiseBudget { budget } => InputKind::RaiseBudget { budget: wish::budget(budget)? },
    })
}

fn said(text: String) -> Result<String> {
    wish::text("text", &text, MOST_TEXT_BYTES)?;
    if text.trim().is_empty() {
        return Err(crate::Refusal::invalid("the text is empty", "say something"));
    }
    Ok(text)
}
