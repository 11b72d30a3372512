//! Tasks: submitted, listed, shown.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use quire_api::{NewTask, Problems, Task, TaskPage, TaskQuery};
use quire_domain::access::Right;
use quire_domain::attempt::AttemptState;
use quire_domain::ids::{TaskNumber, TeamId, UserId};
use quire_store::{ListFilter, Listed};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Routes, pushes};
use crate::access::{May, ReadTasks, Who, WriteTasks};
use crate::desk::Submitted;
use crate::extract::{Body, Path, Query};
use crate::refusal::{Refusal, Result};
use crate::state::{Here, State};
use crate::{convert, find, repository, tagged, wish};

pub(super) fn routes() -> Routes {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show))
}

/// Tasks, newest first. Carries an `ETag`: ask again with `If-None-Match`, and nothing is sent
/// where nothing changed.
#[utoipa::path(
    get, path = "/api/v1/tasks", tag = "tasks", params(TaskQuery),
    responses(
        (status = 200, description = "A page of tasks.", body = TaskPage),
        (status = 304, description = "Nothing changed."), Problems,
    ),
)]
async fn list(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Query(query): Query<TaskQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    // First, so that who listens from there on misses nothing.
    let changed = state.store.newest_change().await?;
    let page = state.store.list(&filter(&who, query)?).await?;
    let page = TaskPage {
        tasks: page.tasks.iter().map(convert::summary).collect(),
        next: page.next.map(|number| number.0),
        changed,
    };
    tagged::tagged(&headers, &page)
}

/// Takes a task in. On disk when it is answered: it will end, whatever happens to the server. Sent
/// again with the same `Idempotency-Key` it gives the first one's task, with the status 200.
#[utoipa::path(
    post, path = "/api/v1/tasks", tag = "tasks", request_body = NewTask,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 200,
        description = "Any text of your own, for this request alone.")),
    responses(
        (status = 201, description = "It was taken in.", body = Task),
        (status = 200, description = "It had been taken in before.", body = Task), Problems,
    ),
)]
async fn create(
    Here(state): Here,
    May { who, .. }: May<WriteTasks>,
    headers: HeaderMap,
    Body(new): Body<NewTask>,
) -> Result<Response> {
    let team = who.team_for(Right::WriteTasks, new.team.as_deref())?;
    wish::name("repository", &new.repository, 4096)?;
    if let Some(base) = &new.base {
        wish::name("ref", base, 255)?;
    }
    if let Some(environment) = &new.environment {
        wish::name("environment", environment, 60)?;
    }
    let review = wish::review(new.wish.mode, new.review)?;
    let owner = who.owner(team);
    let place = repository::place(&state, team, &new.repository).await?;
    let push = match new.push {
        Some(id) => Some(pushes::pushed(&state, owner, id, &place).await?),
        None => None,
    };
    let submitted = Submitted {
        owner,
        by: who.actor(),
        repository: place,
        base: new.base,
        push,
        environment: new.environment,
        wish: wish::read(&state, new.wish, review.is_some()).await?,
        checks: wish::checks(new.checks)?,
        review,
        idempotency_key: idempotency_key(&headers, &who)?,
    };
    let submission = state.desk.submit(submitted).await?;
    taken_in(&state, submission.task.number, submission.repeated).await
}

/// A task with its turns. Carries an `ETag`.
#[utoipa::path(
    get, path = "/api/v1/tasks/{task}", tag = "tasks",
    params(("task" = u64, Path, minimum = 1, example = 1, description = "Its number.")),
    responses(
        (status = 200, description = "The task.", body = Task),
        (status = 304, description = "Nothing changed."), Problems,
    ),
)]
async fn show(
    Here(state): Here,
    May { who, .. }: May<ReadTasks>,
    Path(number): Path<u64>,
    headers: HeaderMap,
) -> Result<Response> {
    let found = find::task(&state, &who, Right::ReadTasks, number).await?;
    tagged::tagged(&headers, &whole(&state, &found).await?)
}

/// What a task is answered with that was taken in just now, or before.
pub(super) async fn taken_in(
    state: &State,
    number: TaskNumber,
    repeated: bool,
) -> Result<Response> {
    let task = whole(state, &state.store.listed(number).await?).await?;
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    let place = HeaderValue::from_str(&format!("/api/v1/tasks/{number}"))
        .map_err(|error| Refusal::internal("write the answer", &error))?;
    Ok((status, [(header::LOCATION, place)], Json(task)).into_response())
}

/// A task with its turns, and the places of its attempts in the queue.
pub(super) async fn whole(state: &State, found: &Listed) -> Result<Task> {
    let mut history = Vec::new();
    for turn in state.store.turns(found.task.id).await? {
        let attempts = state.store.attempts(turn.id).await?;
        history.push(convert::turn(&turn, &attempts));
    }
    let mut summary = convert::summary(found);
    for attempt in &found.attempts {
        if attempt.state != AttemptState::Queued {
            continue;
        }
        let place = state.store.queue_place(attempt.id, state.clock.now()).await?;
        let shown = history.last_mut().map(|turn| &mut turn.attempts);
        for shown in shown.into_iter().chain([&mut summary.attempts]).flatten() {
            if shown.id == attempt.id.0 {
                shown.queue_place = place;
            }
        }
    }
    Ok(Task { summary, history })
}

/// The key that a request came with, as one of its sender's own.
pub(super) fn idempotency_key(headers: &HeaderMap, who: &Who) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=200).contains(&text.len()));
    match text {
        Some(text) => Ok(Some(format!("{}:{text}", who.user))),
        None => Err(Refusal::invalid(
            "`Idempotency-Key` is empty, longer than 200 characters, or not plain ASCII",
            "send a random text, e.g. a UUID",
        )),
    }
}

fn filter(who: &Who, query: TaskQuery) -> Result<ListFilter> {
    let states = query.state.unwrap_or_default();
    let states: Vec<String> = states
        .split(',')
        .map(|state| state.trim().replace('_', " "))
        .filter(|state| !state.is_empty())
        .map(|state| match state.as_str() {
            "waiting for user" => "waiting for you".to_owned(),
            _ => state,
        })
        .collect();
    if states.len() > 16 {
        return Err(Refusal::invalid("`state` names more than 16", "name fewer"));
    }
    if let Some(repository) = &query.repository {
        wish::text("repository", repository, 4096)?;
    }
    if let Some(text) = &query.text {
        wish::text("text", text, 200)?;
    }
    let limit = query.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Refusal::invalid(format!("`limit` is {limit}"), "ask for 1 to 500"));
    }
    let author = match query.author.as_deref() {
        None => None,
        Some("me") => Some(who.user),
        Some(text) => Some(text.parse::<UserId>().map_err(|error| {
            Refusal::invalid(error.to_string(), "give `me`, or the id of a user")
        })?),
    };
    let before = query.before.map(|before| before.clamp(1, i64::MAX.unsigned_abs()));
    Ok(ListFilter {
        states,
        repository: query.repository,
        archived: query.archived,
        text: query.text,
        teams: Some(teams(who, query.team.as_deref())?),
        author,
        limit,
        before: before.map(TaskNumber),
    })
}

/// The teams whose tasks are meant: the one named, or all that the person may read.
pub(super) fn teams(who: &Who, named: Option<&str>) -> Result<Vec<TeamId>> {
    match named {
        Some(named) => Ok(vec![who.team_for(Right::ReadTasks, Some(named))?]),
        None => Ok(who.teams_with(Right::ReadTasks)),
    }
}
