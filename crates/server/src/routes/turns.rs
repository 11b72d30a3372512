//! What follows in a task: turns, retries, forks, choices, the archive.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use quire_api::{AttemptSummary, Choice, NewFork, NewTurn, Problems, Task};
use quire_domain::access::Right;
use quire_domain::attempt::machine::{self, Wish};
use quire_domain::ids::AttemptId;
use quire_store::Listed;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use axum::Json;

use super::Routes;
use super::tasks::{idempotency_key, taken_in};
use crate::access::{May, WriteTasks};
use crate::desk::{Followed, Forked};
use crate::extract::{Body, Path};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};
use crate::{convert, find, wish};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(follow_up))
        .routes(routes!(fork))
        .routes(routes!(retry))
        .routes(routes!(choose))
        .routes(routes!(archive, unarchive))
}

/// Adds a turn to a task whose newest one has ended: the chosen attempt's conversation and sandbox
/// go on.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task}/turns", tag = "tasks", request_body = NewTurn,
    params(
        ("task" = u64, Path, minimum = 1, example = 1, description = "Its number."),
        ("Idempotency-Key" = Option<String>, Header, max_length = 200,
            description = "Any text of your own, for this request alone."),
    ),
    responses(
        (status = 201, description = "It was taken in.", body = Task),
        (status = 200, description = "It had been taken in before.", body = Task), Problems,
    ),
)]
async fn follow_up(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    headers: HeaderMap,
    Body(new): Body<NewTurn>,
) -> Result<Response> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    let continues = match new.continues {
        Some(ordinal) => Some(find::of_newest(&task, ordinal)?.id),
        None => None,
    };
    let idempotency_key = idempotency_key(&headers, &who)?;
    if idempotency_key.is_none() {
        allowed(&task, continues, Wish::FollowUp)?;
    }
    let followed = Followed {
        owner: who.owner(task.owner.team),
        by: who.actor(),
        task: task.task.id,
        continues,
        wish: wish::read(&state, new.wish, false).await?,
        idempotency_key,
    };
    let submission = state.desk.follow_up(followed).await?;
    taken_in(&state, submission.task.number, submission.repeated).await
}

/// Makes a task of its own that goes on from the end of an attempt.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task}/fork", tag = "tasks", request_body = NewFork,
    params(
        ("task" = u64, Path, minimum = 1, example = 1, description = "Its number."),
        ("Idempotency-Key" = Option<String>, Header, max_length = 200,
            description = "Any text of your own, for this request alone."),
    ),
    responses(
        (status = 201, description = "The new task.", body = Task),
        (status = 200, description = "It had been made before.", body = Task), Problems,
    ),
)]
async fn fork(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    headers: HeaderMap,
    Body(new): Body<NewFork>,
) -> Result<Response> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    let from = match new.attempt {
        Some(id) => {
            let found = find::attempt(&state, &who, Right::WriteTasks, AttemptId(id)).await?;
            if found.attempt.task != task.task.id {
                return Err(Refusal::not_found("attempt", id));
            }
            found.attempt.id
        }
        None => meant(&state, &task).await?,
    };
    let forked = Forked {
        owner: who.owner(task.owner.team),
        by: who.actor(),
        from,
        wish: wish::read(&state, new.wish, false).await?,
        idempotency_key: idempotency_key(&headers, &who)?,
    };
    let submission = state.desk.fork(forked).await?;
    taken_in(&state, submission.task.number, submission.repeated).await
}

/// Tries the request of an attempt once more: another attempt of the newest turn, from the same
/// start.
#[utoipa::path(
    post, path = "/api/v1/tasks/{task}/retry", tag = "tasks", request_body = Choice,
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses((status = 201, description = "The new attempt.", body = AttemptSummary), Problems),
)]
async fn retry(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    Body(choice): Body<Choice>,
) -> Result<(StatusCode, Json<AttemptSummary>)> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    let attempt = find::of_newest(&task, choice.attempt)?.id;
    let made = who.store(&state).retry(attempt, true, state.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(convert::attempt(&made))))
}

/// Chooses the attempt of the newest turn that counts: it is applied and followed up.
#[utoipa::path(
    put, path = "/api/v1/tasks/{task}/choice", tag = "tasks", request_body = Choice,
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses((status = 204, description = "It counts."), Problems),
)]
async fn choose(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
    Body(choice): Body<Choice>,
) -> Result<StatusCode> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    let attempt = find::of_newest(&task, choice.attempt)?;
    allowed(&task, Some(attempt.id), Wish::Choose)?;
    who.store(&state).choose(attempt.turn, attempt.id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a task away: lists leave it out, nothing is deleted.
#[utoipa::path(
    put, path = "/api/v1/tasks/{task}/archived", tag = "tasks",
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses((status = 204, description = "It is put away."), Problems),
)]
async fn archive(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
) -> Result<StatusCode> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    who.store(&state).archive(task.task.id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a task out of the archive.
#[utoipa::path(
    delete, path = "/api/v1/tasks/{task}/archived", tag = "tasks",
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses((status = 204, description = "It is back."), Problems),
)]
async fn unarchive(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    Path(number): Path<u64>,
) -> Result<StatusCode> {
    let task = find::task(&state, &who, Right::WriteTasks, number).await?;
    who.store(&state).unarchive(task.task.id, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The attempt of the newest turn that counts.
async fn meant(state: &State, task: &Listed) -> Result<AttemptId> {
    let name = quire_domain::ids::AttemptRef { task: task.task.number, ordinal: None };
    Ok(state.store.attempt(name).await?.id)
}

/// Says early what the store would refuse: nothing has been resolved for it then.
fn allowed(task: &Listed, attempt: Option<AttemptId>, wish: Wish) -> Result<()> {
    for one in task.attempts.iter().filter(|one| attempt.is_none_or(|id| id == one.id)) {
        machine::allows(&one.state, wish).map_err(|refused| {
            Refusal::new(
                quire_api::ProblemKind::NotPossible,
                refused.told(&task.task.number.to_string()),
                "look at its state, then try again",
            )
        })?;
    }
    Ok(())
}
